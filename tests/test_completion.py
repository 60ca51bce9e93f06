"""Shell completion: the scripts of `batch-enroll completion`, tried in the shells themselves."""

from __future__ import annotations

import shlex
import shutil
import subprocess

import pytest

from batch_enroll.cli.commands.completion import SHELLS
from batch_enroll.cli.main import COMMANDS, main

CASES = [
    (("re",), {"report", "resolve", "resume", "retry"}),
    (("run", "--max-r"), {"--max-rows"}),
    (("run", "in.csv", "--pick", "ne"), {"new", "newest"}),
    (("run", "in.csv", "--duplicates", "s"), {"send", "skip", "stop"}),
    (("resolve", "last", "--verdict", "en"), {"enrolled"}),
    (("completion", "z"), {"zsh"}),
    (("check", "lea"), {"leads.csv"}),
    (("run", "leads.csv", "--job", "nig"), {"nightly.toml"}),
    (("report", "last", "--results", "lea"), {"leads.csv"}),
    (("pause", "--ra"), set()),
]


def script(shell, capsys):
    assert main(["completion", shell]) == 0
    return capsys.readouterr().out


def run_shell(shell, code, folder):
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    (folder / "leads.csv").touch()
    (folder / "nightly.toml").touch()
    flags = {"bash": ("--norc", "--noprofile"), "zsh": ("-f",), "fish": ("--no-config",)}[shell]
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(folder), "LC_ALL": "C.UTF-8", "TERM": "dumb"}
    ended = subprocess.run(
        [shell, *flags], input=code, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert (ended.returncode, ended.stderr) == (0, ""), ended.stderr
    return ended.stdout.splitlines()


def answers(lines):
    """The words that each case got: cases stand between lines `=`."""
    found: list[set[str]] = []
    for line in lines:
        if line == "=":
            found.append(set())
        elif line:
            found[-1].add(line.partition("\t")[0])
    return found


def test_bash_completes_commands_flags_values_and_files(capsys, tmp_path):
    code = script("bash", capsys)
    for words, _ in CASES:
        line = ("batch-enroll", *words)
        code += f"COMP_WORDS=({shlex.join(line)}); COMP_CWORD={len(line) - 1}; COMPREPLY=(); echo =\n"
        code += "_shtab_batch_enroll; printf '%s\\n' \"${COMPREPLY[@]}\"\n"
    assert answers(run_shell("bash", code, tmp_path)) == [wanted for _, wanted in CASES]


def test_fish_completes_commands_flags_values_and_files(capsys, tmp_path):
    code = script("fish", capsys)
    for words, _ in CASES:
        code += f"echo =\ncomplete -C {shlex.quote(shlex.join(('batch-enroll', *words)))}\n"
    assert answers(run_shell("fish", code, tmp_path)) == [wanted for _, wanted in CASES]


def test_zsh_takes_its_script(capsys, tmp_path):
    """Completing needs a terminal; here the script is read and registered."""
    code = f"autoload -Uz compinit; compinit -u -D\neval {shlex.quote(script('zsh', capsys))}\n"
    assert run_shell("zsh", code + "echo ${_comps[batch-enroll]}\n", tmp_path) == ["_shtab_batch_enroll"]


@pytest.mark.parametrize("shell", SHELLS)
def test_script_names_every_command_and_no_removed_flag(shell, capsys):
    said = script(shell, capsys)
    assert [name for name in COMMANDS if name not in said] == []
    assert "processes" not in said


def test_unknown_shell_is_refused(cli):
    ended = cli("completion", "powershell")
    assert (ended.code, ended.out) == (2, "")
    assert "'powershell' (choose from" in ended.err
