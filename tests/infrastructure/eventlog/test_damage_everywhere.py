"""A bit flipped, or the file cut, at every byte of a log of a sealed and an open segment, with its
watermark and without: a prefix by the torn-tail rule, or an error that says where."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from application.ports.event_store import RecordedEvent
from infrastructure.eventlog import active, operations
from infrastructure.eventlog.disk import Disk
from infrastructure.eventlog.errors import CorruptLog, NewerFormat
from infrastructure.eventlog.format import FRAME_MAGIC, SEGMENT_HEADER_BYTES
from infrastructure.eventlog.recovery import Tail, recover
from infrastructure.eventlog.segment import Segment
from infrastructure.eventlog.segment_reader import SegmentReader
from infrastructure.eventlog.store import EventLog
from infrastructure.eventlog.watermark import FILE_NAME, Watermark
from tests.infrastructure.eventlog.conftest import batch

SEALED, OPEN = f"{1:020d}.seg", f"{7:020d}.open"
Files = dict[str, bytes]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    """Three frames of two events in each segment, and the watermark."""
    directory = tmp_path_factory.mktemp("whole") / "log"
    for first, max_segment_bytes in ((0, 400), (3, 4_000)):
        with EventLog.open(directory, max_segment_bytes=max_segment_bytes) as log:
            for number in range(first, first + 3):
                log.append_sync([batch(f"s-{number % 2}", b"%d" % number, b"again")])
    return {name: (directory / name).read_bytes() for name in (SEALED, OPEN, FILE_NAME)}


@pytest.fixture(scope="module")
def whole(files: Files) -> list[RecordedEvent]:
    with tempfile.TemporaryDirectory() as parent:
        events = list(operations.export(lay_out(Path(parent) / "log", files)))
    assert len(events) == 12
    return events


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """In memory where that is possible: a disk's flushes would take most of the time."""
    monkeypatch.setattr(active, "_RESERVE_BYTES", 4_096)
    memory = Path("/dev/shm")
    usable = memory.is_dir() and os.access(memory, os.W_OK)
    with tempfile.TemporaryDirectory(dir=memory if usable else tmp_path) as parent:
        yield Path(parent) / "log"


def lay_out(directory: Path, files: Files) -> Path:
    directory.mkdir(exist_ok=True)
    for path in directory.iterdir():
        path.unlink()
    for name, data in files.items():
        (directory / name).write_bytes(data)
    return directory


def flips(data: bytes) -> Iterator[tuple[int, bytes]]:
    for offset in range(len(data)):
        flipped = bytes((data[offset] ^ 1 << offset % 8,))
        yield offset, data[:offset] + flipped + data[offset + 1 :]


def cuts(data: bytes) -> Iterator[tuple[int, bytes]]:
    for size in range(len(data)):
        yield size, data[:size]


class Outcome(NamedTuple):
    """Of opening a log and reading all of it."""

    refusal: CorruptLog | NewerFormat | None
    tail: Tail
    events: list[RecordedEvent]
    """Those that were read before the error."""
    error: CorruptLog | None
    """In reading."""


def start(directory: Path) -> Outcome:
    nothing = Tail(Segment(directory, 0, False), 0, 0, 0, 0, None, 0, 0)
    try:
        _, tail = recover(directory, Disk())
    except (CorruptLog, NewerFormat) as refusal:
        return Outcome(refusal, nothing, [], None)
    assert tail is not None
    upto = Watermark(tail.next_position - 1, tail.segment.base_position, tail.end)
    reader = SegmentReader(directory)
    events: list[RecordedEvent] = []
    try:
        while found := reader.read(len(events), 1, upto):
            events += found
    except CorruptLog as error:
        return Outcome(None, tail, events, error)
    finally:
        reader.close()
    return Outcome(None, tail, events, None)


def is_located(error: CorruptLog | NewerFormat, name: str) -> bool:
    if isinstance(error, NewerFormat):
        return name in error.detail
    return (
        error.path.name in (SEALED, OPEN, name) and error.offset >= 0 and error.next_position >= 1
    )


@pytest.mark.parametrize("watermark", [True, False], ids=["watermark", "no watermark"])
def test_a_bit_flipped_in_the_open_segment(
    files: Files, whole: list[RecordedEvent], place: Path, watermark: bool
) -> None:
    last_frame = files[OPEN].rindex(FRAME_MAGIC)
    for offset, data in flips(files[OPEN]):
        damaged = {**files, OPEN: data}
        if not watermark:
            del damaged[FILE_NAME]
        lay_out(place, damaged)
        assert operations.verify(place).ok is False or not watermark
        refusal, tail, events, error = start(place)
        if refusal is not None:
            assert is_located(refusal, OPEN)
            assert (place / OPEN).read_bytes() == data, "a refusal changes nothing"
            assert watermark or offset < last_frame
            continue
        # Only the watermark tells the last frame from one that was never finished.
        assert not watermark
        assert offset >= last_frame
        assert error is None
        assert events == whole[:-2]
        assert (place / f"{OPEN}.torn").read_bytes()[: tail.cut].startswith(data[last_frame:])


@pytest.mark.parametrize("watermark", [True, False], ids=["watermark", "no watermark"])
def test_the_open_segment_cut_at_every_byte(
    files: Files, whole: list[RecordedEvent], place: Path, watermark: bool
) -> None:
    seen = set()
    for size, data in cuts(files[OPEN]):
        damaged = {**files, OPEN: data}
        if not watermark:
            del damaged[FILE_NAME]
        lay_out(place, damaged)
        refusal, tail, events, error = start(place)
        if refusal is not None:
            assert is_located(refusal, OPEN)
            assert size < SEGMENT_HEADER_BYTES
            continue
        assert error is None
        assert events == whole[: len(events)]
        assert tail.missing == (len(whole) - len(events) if watermark else 0)
        seen.add(len(events))
    assert seen == {6, 8, 10}


@pytest.mark.parametrize("watermark", [True, False], ids=["watermark", "no watermark"])
@pytest.mark.parametrize("damage", [flips, cuts])
def test_any_damage_to_a_sealed_segment_is_refused_or_met_by_the_reader(
    files: Files, whole: list[RecordedEvent], place: Path, damage: object, watermark: bool
) -> None:
    assert callable(damage)
    outcomes = set()
    for _, data in damage(files[SEALED]):
        damaged = {**files, SEALED: data}
        if not watermark:
            del damaged[FILE_NAME]
        lay_out(place, damaged)
        assert not operations.verify(place).ok
        refusal, _, events, error = start(place)
        if refusal is not None:
            assert is_located(refusal, SEALED)
            outcomes.add("refused")
            continue
        assert events == whole[: len(events)], "a wrong event, or one was left out"
        if error is None:
            assert events == whole
            outcomes.add("not needed to read")
        else:
            assert error.path.name == SEALED
            assert error.next_position == len(events) + 1
            outcomes.add("met by the reader")
    assert outcomes == ({"refused"} if damage is cuts else OUTCOMES)


OUTCOMES = {"refused", "met by the reader", "not needed to read"}


@pytest.mark.parametrize("damage", [flips, cuts])
def test_a_damaged_watermark_takes_nothing_away(
    files: Files, whole: list[RecordedEvent], place: Path, damage: object
) -> None:
    assert callable(damage)
    for _, data in damage(files[FILE_NAME]):
        lay_out(place, {**files, FILE_NAME: data})
        refusal, _, events, error = start(place)
        assert (refusal, events, error) == (None, whole, None)


@pytest.mark.parametrize("damage", [flips, cuts])
def test_any_damage_to_a_full_segment_before_it_was_sealed_is_refused(
    files: Files, whole: list[RecordedEvent], place: Path, damage: object
) -> None:
    """Its content must be what the next segment follows; the footer is made again."""
    assert callable(damage)
    content = files[SEALED][: files[SEALED].rindex(b"KFTR")]
    unsealed = {FILE_NAME: files[FILE_NAME], OPEN: files[OPEN]}
    for _, data in damage(content):
        lay_out(place, {**unsealed, SEALED.replace(".seg", ".open"): data})
        refusal = start(place).refusal
        assert refusal is not None
        assert is_located(refusal, SEALED.replace(".seg", ".open"))
    for _, footer in damage(files[SEALED][len(content) :]):
        lay_out(place, {**unsealed, SEALED.replace(".seg", ".open"): content + footer})
        refusal, _, events, error = start(place)
        assert (refusal, events, error) == (None, whole, None)
        assert (place / SEALED).read_bytes() == files[SEALED]


def test_every_way_to_read_gives_right_events_or_an_error(
    files: Files, whole: list[RecordedEvent], place: Path
) -> None:
    """Through the opened log, with its index: by position and by stream."""
    for name in (SEALED, OPEN):
        for offset, data in flips(files[name]):
            if offset % 12:  # opening it takes milliseconds
                continue
            directory = lay_out(place.with_name(f"{name}-{offset}"), {**files, name: data})
            damage = None
            try:
                with EventLog.open(directory) as log:
                    for stream in ("s-0", "s-1"):
                        expected = [event for event in whole if event.stream == stream]
                        assert log.read_stream(stream) == expected
                    assert log.read(0, 100) == whole
            except (CorruptLog, NewerFormat) as error:
                damage = error
            assert damage is None or is_located(damage, name)
