"""A small SFTP server for tests: one user with a password, files in a folder."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import paramiko

USER = "anna"


@dataclass(frozen=True, slots=True)
class SftpServer:
    """The server's port and its line for `known_hosts`."""

    port: int
    known_host: str


@contextmanager
def sftp_server(folder: Path, *, password: str) -> Iterator[SftpServer]:
    """Serve the files of a folder on 127.0.0.1."""
    key = paramiko.RSAKey.generate(2048)
    transports: list[paramiko.Transport] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                transport = paramiko.Transport(connection)
                transports.append(transport)
                transport.add_server_key(key)
                transport.set_subsystem_handler("sftp", paramiko.SFTPServer, _Files, folder)
                try:
                    transport.start_server(server=_OneUser(password))
                except (paramiko.SSHException, EOFError):
                    continue  # the client did not like our key

        threading.Thread(target=serve, daemon=True).start()
        yield SftpServer(port, f"[127.0.0.1]:{port} {key.get_name()} {key.get_base64()}\n")
        for transport in transports:
            transport.close()
        listener.shutdown(socket.SHUT_RDWR)


class _OneUser(paramiko.ServerInterface):  # type: ignore[misc]
    def __init__(self, password: str) -> None:
        self._password = password

    def check_auth_password(self, username: str, password: str) -> int:
        fits = (username, password) == (USER, self._password)
        return int(paramiko.AUTH_SUCCESSFUL if fits else paramiko.AUTH_FAILED)

    def check_channel_request(self, kind: str, chanid: int) -> int:
        return int(paramiko.OPEN_SUCCEEDED)


class _Files(paramiko.SFTPServerInterface):  # type: ignore[misc]
    def __init__(self, server: paramiko.ServerInterface, folder: Path) -> None:
        super().__init__(server)
        self._folder = folder

    def stat(self, path: str) -> paramiko.SFTPAttributes | int:
        try:
            return paramiko.SFTPAttributes.from_stat((self._folder / path.lstrip("/")).stat())
        except OSError as error:
            return int(paramiko.SFTPServer.convert_errno(error.errno))

    lstat = stat

    def list_folder(self, path: str) -> list[paramiko.SFTPAttributes] | int:
        try:
            found = sorted((self._folder / path.lstrip("/")).iterdir())
        except OSError as error:
            return int(paramiko.SFTPServer.convert_errno(error.errno))
        return [paramiko.SFTPAttributes.from_stat(path.stat(), path.name) for path in found]

    def open(self, path: str, flags: int, attr: paramiko.SFTPAttributes) -> paramiko.SFTPHandle | int:
        try:
            file = (self._folder / path.lstrip("/")).open("rb")
        except OSError as error:
            return int(paramiko.SFTPServer.convert_errno(error.errno))
        handle = paramiko.SFTPHandle(flags)
        handle.readfile = file
        return handle
