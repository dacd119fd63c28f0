"""Schema evolution as docs/howto/add-an-event.md shows it, and what counts as a change."""

import re
import subprocess
import sys
from enum import StrEnum
from pathlib import Path

import msgspec
import pytest

from domain.events import Event
from tests.golden.fingerprint import fingerprint

ROOT = Path(__file__).parents[2]


def test_the_documented_evolution_runs_as_it_is_printed() -> None:
    text = (ROOT / "docs/howto/add-an-event.md").read_text()
    found = re.search(
        r"```python\n# test: evolution\n(.*?)```\n\n```text\n(.*?)```", text, re.DOTALL
    )
    assert found is not None
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", found[1]],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.stdout, done.stderr) == (found[2], "")


class Colour(StrEnum):
    RED = "red"


class MoreColours(StrEnum):
    RED = "red"
    BLUE = "blue"


class Part(msgspec.Struct):
    size: int


class OtherPart(msgspec.Struct):
    size: float


def described(*fields: tuple[str, type] | tuple[str, type, object]) -> dict[str, str]:
    cls = msgspec.defstruct(
        "Tried", fields, bases=(Event,), frozen=True, kw_only=True, tag="t.tried.v1"
    )
    return fingerprint(cls)


@pytest.mark.parametrize(
    "changed",
    [
        (("n", int), ("c", Colour), ("p", tuple[Part, ...])),
        (("n", int), ("c", Colour), ("p", list[Part]), ("more", bool)),
        (("n", int), ("c", Colour), ("p", list[Part]), ("more", bool, False)),
        (("n", str), ("c", Colour), ("p", list[Part])),
        (("n", int | None), ("c", Colour), ("p", list[Part])),
        (("n", int, 3), ("c", Colour), ("p", list[Part])),
        (("m", int), ("c", Colour), ("p", list[Part])),
        (("n", int), ("c", MoreColours), ("p", list[Part])),
        (("n", int), ("c", Colour), ("p", list[OtherPart])),
        (("n", int), ("c", Colour)),
    ],
    ids=str,
)
def test_every_change_of_a_field_or_a_type_changes_the_fingerprint(
    changed: tuple[tuple[str, type], ...],
) -> None:
    assert described(*changed) != described(("n", int), ("c", Colour), ("p", list[Part]))


def test_the_names_of_classes_and_the_order_of_a_union_do_not_change_the_fingerprint() -> None:
    one = described(("n", int | None), ("c", Colour))
    assert one == described(("n", None | int), ("c", Colour))
    assert one == {"n": "int | null", "c": "enum(red)"}
