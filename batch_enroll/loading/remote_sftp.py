"""SFTP through fsspec, but to servers that are known: fsspec alone would take any server's key, and hand it a password.

In: host, user, password or the keys of ssh's agent and folder. Out: a file system. Never: a server whose key does not
stand in `~/.ssh/known_hosts`.
"""

from __future__ import annotations

from typing import Any

import paramiko
from fsspec.implementations.sftp import SFTPFileSystem

_CONNECT_S, _SILENCE_S = 30.0, 60.0


class UnknownHost(Exception):
    """The server's key is not known."""


class _Refuse(paramiko.MissingHostKeyPolicy):  # type: ignore[misc]
    def missing_host_key(self, client: Any, hostname: str, key: Any) -> None:
        raise UnknownHost(hostname)


class KnownHostsFileSystem(SFTPFileSystem):  # type: ignore[misc]
    """SFTP to servers in `~/.ssh/known_hosts`."""

    def _connect(self) -> None:
        self.client = paramiko.SSHClient()
        self.client.load_system_host_keys()
        self.client.set_missing_host_key_policy(_Refuse())
        self.client.connect(self.host, timeout=_CONNECT_S, **self.ssh_kwargs)
        self.ftp = self.client.open_sftp()
        self.ftp.get_channel().settimeout(_SILENCE_S)
