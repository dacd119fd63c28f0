"""Docs show what works: their marked blocks are run, their tables compared with the code."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer.main

from interfaces.cli.app import app
from interfaces.settings import table
from tests.serving import Kefu

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"```python\n# test: (\w+)\n(.*?)```", re.DOTALL)
BLOCKS = BLOCK.findall((ROOT / "docs/howto/write-a-client.md").read_text())


@pytest.mark.parametrize(("name", "code"), BLOCKS, ids=[name for name, _ in BLOCKS])
def test_the_snippets_for_clients_run(kefu: Kefu, name: str, code: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"KEFU_URL": kefu.url, "PATH": ""},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_the_table_of_settings_is_that_of_the_code() -> None:
    assert table() in (ROOT / "docs/howto/settings.md").read_text()


def _commands(command: Any, name: str) -> set[str]:
    if not hasattr(command, "list_commands"):
        return {name}
    children = {key: command.get_command(None, key) for key in command.list_commands(None)}
    return {found for key, child in children.items() for found in _commands(child, f"{name} {key}")}


def test_every_command_is_documented_and_every_documented_one_exists() -> None:
    documented = set(
        re.findall(r"^\| `(kefu [^`]+)` \|", (ROOT / "docs/howto/cli.md").read_text(), re.M)
    )
    assert _commands(typer.main.get_command(app), "kefu") == documented


@pytest.mark.parametrize(
    "page",
    [
        *("README.md", "README.zh-CN.md", "infrastructure/eventlog/README.md"),
        *map(str, ROOT.glob("docs/**/*.md")),
    ],
)
def test_links_lead_somewhere(page: str) -> None:
    path = ROOT / page
    for target in re.findall(r"\]\((?!https?://|#)([^)#]+)", path.read_text()):
        assert (path.parent / target).exists(), target
    for promised in re.findall(r"\| `(tests/[^`]*)` \|", path.read_text()):
        assert (ROOT / promised).exists(), promised
