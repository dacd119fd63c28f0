"""Power loss: what was acknowledged is there, whatever part of the rest reached the disk.

The model of the disk is in `tests.faults.power`. No process is killed here: a run of the log is
recorded once, and then played back to every moment and to many states that could be found then.
"""

import itertools
import os
import random
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from application.ports.event_store import ANY_VERSION, NewEvent, StreamAppend
from infrastructure.eventlog import active, encoding, operations
from infrastructure.eventlog.errors import CorruptLog
from infrastructure.eventlog.store import EventLog
from tests.faults.power import (
    SECTOR,
    Create,
    Flush,
    Note,
    Platter,
    Rename,
    Resize,
    Write,
)
from tests.faults.recording import Recorder

pytestmark = pytest.mark.faults

EXAMPLES = 3_000 if os.environ.get("KEFU_SOAK") == "1" else 300
SEGMENT_BYTES = 6_000
FRAME_BYTES = 600
RESERVED_BYTES = 4_096


class Recorded:
    """Notes of a run, the payloads that it wrote, and its index."""

    def __init__(self, notes: list[Note], payloads: list[bytes], index: Path) -> None:
        self.notes, self.payloads, self.index = notes, payloads, index


quickly = settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.explicit, Phase.generate, Phase.shrink],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


def group(first: int, sizes: tuple[int, ...]) -> list[list[StreamAppend]]:
    """A group commit: batches of two streams, so two events each."""
    batches = []
    for number, size in enumerate(sizes, start=first):
        events = [NewEvent("power.event.v1", b"%d:" % number + b"x" * size, b"{}")]
        batches.append([StreamAppend(s, ANY_VERSION, events) for s in ("all", f"s{number % 3}")])
    return batches


moments = st.integers(0, 10_000)
"""In ten-thousandths of a recording."""
seeds = st.integers(0, 2**32)
"""Of the choice among the states that may be found."""

GROUPS = [(10,), (300, 10, 900), (5,), (200, 200, 200, 200, 200), (1_500,), (40, 2_000, 40)] * 3
"""Payload sizes: frames of less than a sector and of several, groups of one frame and of many."""


def small() -> Iterator[None]:
    with (
        mock.patch.object(active, "_RESERVE_BYTES", RESERVED_BYTES),
        mock.patch.object(encoding, "_FRAME_TARGET_BYTES", FRAME_BYTES),
    ):
        yield


small_sizes = pytest.fixture(small, scope="module", autouse=True)


def run(directory: Path, recorder: Recorder, groups: list[tuple[int, ...]], first: int) -> int:
    """Write groups, note what is acknowledged; the number of the next batch."""
    with EventLog.open(directory, max_segment_bytes=SEGMENT_BYTES) as log:
        recorder.acknowledged(log.durable_position)
        for sizes in groups:
            positions = log.append_sync(group(first, sizes))
            first += len(sizes)
            assert isinstance(positions[-1], int)
            recorder.acknowledged(positions[-1])
    return first


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    """A run that was closed and opened again in between."""
    root = tmp_path_factory.mktemp("recorded")
    recorder = Recorder(root)
    with recorder.recording():
        middle = len(GROUPS) // 2
        first = run(root / "log", recorder, GROUPS[:middle], 1)
        run(root / "log", recorder, GROUPS[middle:], first)
    payloads = [event.payload for event in operations.export(root / "log")]
    assert len(payloads) == 2 * sum(map(len, GROUPS))
    assert sum(1 for _ in root.glob("log/*.seg")) >= 3
    return Recorded(recorder.notes, payloads, root / "log" / "index")


def platter_at(notes: list[Note], moment: int, platter: Platter | None = None) -> Platter:
    """At a moment of a recording, in ten-thousandths."""
    platter = platter or Platter()
    for note in notes[: len(notes) * moment // 10_000]:
        platter.play(note)
    return platter


def check(directory: Path, acknowledged: int, payloads: list[bytes]) -> int:
    """The log opens, holds a prefix of what was written with all that was acknowledged, by whole
    batches; it goes on from there. How many events it held."""
    with EventLog.open(directory, max_segment_bytes=SEGMENT_BYTES) as log:
        found = [event.payload for event in log.read(0, 10_000)]
        assert found == payloads[: len(found)], "something is there that was not written"
        assert len(found) >= acknowledged, "an acknowledged event is lost"
        assert len(found) % 2 == 0, "half a batch is there"
        assert [event.payload for event in log.read_stream("all")] == found[::2]
        more = NewEvent("power.event.v1", b"+", b"{}")
        log.append_sync([[StreamAppend("all", ANY_VERSION, [more])]])
    assert [e.payload for e in operations.export(directory)] == [*found, b"+"]
    assert operations.verify(directory).ok
    return len(found)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Iterator[Path]]:
    """A new directory each time, in memory where there is such a file system: the disk under test
    is a model, and the real one's flushes take most of the time."""
    memory = Path("/dev/shm")
    usable = memory.is_dir() and os.access(memory, os.W_OK)
    with tempfile.TemporaryDirectory(dir=memory if usable else tmp_path) as parent:
        yield (Path(parent) / f"state-{number}" for number in itertools.count())


@quickly
@given(moment=moments, seed=seeds, index_is_ahead=st.booleans())
def test_after_a_power_loss_at_any_moment_the_acknowledged_events_are_there(
    recorded: Recorded, place: Iterator[Path], moment: int, seed: int, index_is_ahead: bool
) -> None:
    notes, payloads, index = recorded.notes, recorded.payloads, recorded.index
    platter = platter_at(notes, moment)
    root = next(place)
    platter.after_a_power_loss(root, random.Random(seed))
    if index_is_ahead and (root / "log").exists():
        shutil.copytree(index, root / "log" / "index")
    check(root / "log", platter.acknowledged, payloads)
    shutil.rmtree(root)


def start_then_power_loss(
    place: Iterator[Path], platter: Platter, payloads: list[bytes], chance: random.Random
) -> None:
    """Kill the log, or take its power, start it, write, and take its power at any moment."""
    root = next(place)
    if chance.random() < 0.5:
        paths = platter.after_a_power_loss(root, chance)
        platter = Platter.holding(root, paths, platter.acknowledged)
    else:
        paths = platter.after_a_kill(root)
    before = platter.acknowledged
    recorder = Recorder(root, paths, first=max(platter.images, default=0) + 1)
    with recorder.recording():
        run(root / "log", recorder, [(700,), (10, 600)], 90_001)
    there = [event.payload for event in operations.export(root / "log")]
    old = [payload for payload in there if not payload.startswith(b"9000")]
    assert old == payloads[: len(old)]
    assert len(old) >= before
    shutil.rmtree(root)
    platter = platter_at(recorder.notes, chance.choice((10_000, chance.randrange(10_000))), platter)
    platter.after_a_power_loss(root, chance)
    check(root / "log", platter.acknowledged, there)
    shutil.rmtree(root)


@quickly
@given(kill=moments, seed=seeds)
def test_a_start_after_a_kill_makes_what_it_found_durable(
    recorded: Recorded, place: Iterator[Path], kill: int, seed: int
) -> None:
    """What the start found in the kernel's memory only must be on disk before it goes on."""
    platter = platter_at(recorded.notes, kill)
    start_then_power_loss(place, platter, recorded.payloads, random.Random(seed))


def test_a_kill_at_any_change_of_a_name_leaves_nothing_undone(
    recorded: Recorded, place: Iterator[Path]
) -> None:
    for number, note in enumerate(recorded.notes, start=1):
        if not isinstance(note, Create | Rename | Resize):
            continue
        for seed in range(5):
            platter = Platter()
            for before in recorded.notes[:number]:
                platter.play(before)
            start_then_power_loss(place, platter, recorded.payloads, random.Random(seed))


@quickly
@given(moment=moments, honest=moments, seed=seeds)
def test_a_disk_that_lied_about_flushes_leads_to_a_prefix_or_a_located_error(
    recorded: Recorded, place: Iterator[Path], moment: int, honest: int, seed: int
) -> None:
    notes, payloads = recorded.notes, recorded.payloads
    platter = Platter()
    for number, note in enumerate(notes[: len(notes) * moment // 10_000]):
        platter.play(note, flushes_lie=number * 10_000 >= honest * len(notes))
    root = next(place)
    platter.after_a_power_loss(root, random.Random(seed))
    try:
        check(root / "log", 0, payloads)
    except CorruptLog as error:
        located = error.path
    else:
        located = root
    assert located.is_relative_to(root)
    shutil.rmtree(root)


def test_every_part_of_one_group_that_reached_the_disk_is_cut_off_or_whole(
    tmp_path: Path, place: Iterator[Path]
) -> None:
    """Exhaustively: each sector of a group of three frames written or not, the size of then or of
    before."""
    recorder = Recorder(tmp_path)
    directory = tmp_path / "recorded" / "log"
    with recorder.recording():
        run(directory, recorder, [(100,), (250, 200, 250, 200, 250, 200)], 1)
    payloads = [event.payload for event in operations.export(directory)]
    notes = recorder.notes
    write = max(
        (note for note in notes if isinstance(note, Write)), key=lambda note: len(note.data)
    )
    at = notes.index(write)
    assert isinstance(notes[at + 1], Flush)
    assert write.data.count(b"KFRM") == 3
    platter = Platter()
    for note in notes[:at]:
        platter.play(note)
    (before,) = platter.images[write.file]
    platter.play(write)
    after = platter.images[write.file][-1]
    sectors = range(write.offset // SECTOR, -(-(write.offset + len(write.data)) // SECTOR))
    whole = 0
    for kept in itertools.product((False, True), repeat=len(sectors)):
        image = bytearray(before.ljust(len(after), b"\0"))
        for sector, there in zip(sectors, kept, strict=True):
            if there:
                piece = slice(sector * SECTOR, (sector + 1) * SECTOR)
                image[piece] = after[piece]
        platter.images[write.file] = [bytes(image)]
        root = next(place)
        platter.after_a_kill(root)
        whole += check(root / "recorded" / "log", 2, payloads) == len(payloads)
        shutil.rmtree(root)
    assert whole == 1, "all of the group is there only when all of its sectors are"


def test_the_recorder_sees_what_the_log_does(recorded: Recorded, tmp_path: Path) -> None:
    """A recorder that misses calls would make every test here pass."""
    notes, payloads = recorded.notes, recorded.payloads
    platter = platter_at(notes, 10_000)
    assert {type(note).__name__ for note in notes} == {
        "Write", "Resize", "Allocate", "Flush", "Create", "Rename", "FlushNames", "Acknowledged",
    }  # fmt: skip
    assert platter.acknowledged == len(payloads)
    platter.after_a_kill(tmp_path / "copy")
    assert [e.payload for e in operations.export(tmp_path / "copy" / "log")] == payloads
