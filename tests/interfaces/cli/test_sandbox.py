"""`kefu sandbox` on the command line."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.sandbox import Sandbox, running


def _run(tmp_path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "interfaces.cli.main", "sandbox"]
    return subprocess.run(
        [*command, "--data-dir", str(tmp_path / "data"), *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["--callback-url", "http://127.0.0.1:1"], 2, "needs --callback-secret-file"),
        (["--callback-url", "127.0.0.1:1"], 2, "must be an http(s) URL"),
        (["--settle", "never"], 2, "--settle"),
        (["--port", "70000"], 2, "--port"),
        (["--host", "192.0.2.1", "--port", "0"], 1, "kefu: "),
    ],
)
def test_wrong_use_is_one_clear_message(
    tmp_path: Path, arguments: list[str], status: int, message: str
) -> None:
    done = _run(tmp_path, *arguments)
    assert (done.returncode, "Traceback" in done.stderr) == (status, False)
    assert message in done.stderr


def test_a_secret_that_is_none_is_refused_and_not_shown(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("my-own-password")
    done = _run(
        tmp_path,
        *("--callback-url", "http://127.0.0.1:1"),
        *("--callback-secret-file", str(tmp_path / "secret")),
    )
    assert done.returncode == 2
    assert "my-own-password" not in done.stderr


def test_it_listens_on_this_machine_only_unless_told_otherwise(tmp_path: Path) -> None:
    with running(tmp_path / "data") as sandbox:
        assert sandbox.output() == f"kefu sandbox ready: {sandbox.url}\n"
        other = Sandbox(tmp_path / "other", port=sandbox.port)
        with pytest.raises(AssertionError, match="the sandbox ended: kefu: "):
            other.start()
