"""Every command of docs/howto/replay-and-trace.md works as it is printed."""

import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from tests.interfaces.http.test_audit import talk
from tests.serving import Kefu

PAGE = Path(__file__).parents[2] / "docs/howto/replay-and-trace.md"
LINES = [
    line
    for block in re.findall(r"```sh\n(.*?)```", PAGE.read_text(), re.DOTALL)
    for line in block.splitlines()
]


@pytest.fixture(scope="module")
def values(kefu: Kefu) -> dict[str, str]:
    told: dict[str, Any] = talk(kefu)
    return {
        "$CONVERSATION": told["id"],
        "$MESSAGE": told["first"]["message_id"],
        "$POSITION": str(told["reply"]["position"]),
        "$TOKEN": kefu.agent("auditor")[1],
        "$KEFU": kefu.url,
    }


@pytest.mark.parametrize("line", LINES)
def test_the_commands_work_as_they_are_printed(
    kefu: Kefu, values: dict[str, str], line: str
) -> None:
    for name, value in values.items():
        line = line.replace(name, value)
    program, *arguments = shlex.split(line)
    if program == "kefu":
        assert kefu.cli(*arguments).stdout
        return
    assert program == "curl"
    (header, url) = arguments[1:]
    status, body = kefu.get(url.removeprefix(kefu.url), header.rpartition(" ")[2])
    assert (status, bool(body)) == (200, True), body
