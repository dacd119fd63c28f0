"""Fuzz target: everything that reads segment files, over files made of the fuzzer's bytes.

The input is a small program (see `damage`): it changes bytes of a valid log of a sealed and an open
segment, and may make the checksums fit again, without which no fuzzer comes past the first check.
"""

import os
import struct
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final
from unittest import mock

import google_crc32c

from application.ports.event_store import ANY_VERSION, NewEvent, RecordedEvent, StreamAppend
from infrastructure.eventlog import active, format, operations, segment
from infrastructure.eventlog.disk import Disk
from infrastructure.eventlog.errors import CorruptLog, NewerFormat
from infrastructure.eventlog.frames import BadFrame, find_frame, up_to, walk
from infrastructure.eventlog.recovery import recover
from infrastructure.eventlog.segment_reader import SegmentReader
from infrastructure.eventlog.store import EventLog
from infrastructure.eventlog.watermark import FILE_NAME, Watermark, WatermarkWriter

DOCUMENTED: Final = (CorruptLog, NewerFormat, BadFrame)
_STEP: Final = struct.Struct("<BHB")
_MAX_STEPS: Final = 16
_MAX_BYTES: Final = 16_384
_U64: Final = 2**64 - 1


class Base:
    """A valid log: its files by name, its events and its watermark."""

    def __init__(self) -> None:
        with tempfile.TemporaryDirectory() as parent:
            directory = Path(parent) / "log"
            with EventLog.open(directory, max_segment_bytes=700) as log:
                for number in range(8):
                    events = [NewEvent("fuzz.event.v1", b"%d" % number, b"{}")] * (number % 3 + 1)
                    log.append_sync([[StreamAppend(f"s{number % 3}", ANY_VERSION, events)]])
            self.files = [
                (found.path.name, found.path.read_bytes())
                for found in segment.list_segments(directory)
            ]
            self.events = list(operations.export(directory))
        self.watermark = Watermark(
            len(self.events), int(Path(self.files[-1][0]).stem), len(self.files[-1][1])
        )


def damage(files: list[tuple[str, bytes]], program: bytes) -> tuple[list[tuple[str, bytes]], bool]:
    """Files that are changed by a program, and whether checksums were made to fit."""
    changed = [(name, bytearray(data)) for name, data in files]
    repaired = False
    at = 0
    for _ in range(_MAX_STEPS):
        if len(program) - at < _STEP.size:
            break
        what, where, length = _STEP.unpack_from(program, at)
        at += _STEP.size
        _, data = changed[what % len(changed)]
        where %= len(data) + 1
        match what // len(changed) % 9:
            case 0:
                data[where : where + 1] = bytes(b ^ (1 << length % 8) for b in data[where:][:1])
            case 1:
                del data[where:]
            case 2:
                del data[where : where + length]
            case 3:
                data[where : where + length] = program[at : at + length]
                at += length
            case 4:
                data[where:where] = program[at : at + length]
                at += length
            case 5:
                data += data[where : where + 4 * length]
            case 6:
                data += changed[0][1][where:]
            case 7:
                repair(data)
                repaired = True
            case 8:
                data[:] = program[at : at + 16 * length] + bytes(where)
                at += 16 * length
        del data[_MAX_BYTES:]
    return [(name, bytes(data)) for name, data in changed], repaired


def repair(data: bytearray) -> None:
    """Make every checksum fit what is there."""
    if len(data) < format.SEGMENT_HEADER_BYTES:
        return
    struct.pack_into("<I", data, 72, google_crc32c.value(bytes(data[:72])))
    seed = format.frame_seed(bytes(data[16:32]))
    at = 0
    while (at := data.find(format.FRAME_MAGIC, at)) >= 0:
        length = int.from_bytes(data[at + 4 : at + 8], "little")
        end = at + length
        if length > format.FRAME_OVERHEAD and end <= len(data):
            data[end - 4 : end] = data[at + 4 : at + 8]
            covered = bytes(data[at + 4 : at + 8] + data[at + 12 : end - 4])
            struct.pack_into("<I", data, at + 8, google_crc32c.extend(seed, covered))
        at += 1
    start = data.rfind(format.FOOTER_MAGIC)
    fixed = start + format.FOOTER_FIXED_BYTES - 4
    end = len(data) - format.FOOTER_END_BYTES
    if start >= 0 and fixed + 4 <= end and data.endswith(format.END_MAGIC):
        struct.pack_into("<I", data, fixed, google_crc32c.value(bytes(data[start:fixed])))
        body = bytes(data[start:end])
        struct.pack_into("<II", data, end, len(body), google_crc32c.value(body))


@contextmanager
def documented() -> Iterator[None]:
    """Only the errors that the log's documentation names."""
    with suppress(*DOCUMENTED):
        yield


class Target:
    """`check` may be called any number of times."""

    def __init__(self) -> None:
        memory = Path("/dev/shm")
        place = memory if memory.is_dir() and os.access(memory, os.W_OK) else None
        self._parent = tempfile.TemporaryDirectory(dir=place)
        self._base = Base()
        self._runs = 0

    def close(self) -> None:
        self._parent.cleanup()

    def check(self, data: bytes) -> None:
        """Raises what no reader may raise, or an AssertionError for a wrong event."""
        self._runs += 1
        root = Path(self._parent.name) / str(self._runs)
        directory = root / "log"
        directory.mkdir(parents=True)
        try:
            mode, program = data[:1] or b"\0", data[1:]
            files, repaired = damage(self._base.files, program)
            self._write(directory, files, mode[0], program)
            check = self._check_any if repaired else self._check_true
            with mock.patch.object(active, "_RESERVE_BYTES", 4_096):  # for speed
                self._read_all(directory, check)
        finally:
            for path in sorted(root.rglob("*"), reverse=True):
                path.unlink() if path.is_file() else path.rmdir()
            root.rmdir()

    def _write(
        self, directory: Path, files: list[tuple[str, bytes]], mode: int, program: bytes
    ) -> None:
        for name, content in files:
            if not mode & 1:
                name = name.replace(segment.SEALED_SUFFIX, segment.OPEN_SUFFIX)
            (directory / name).write_bytes(content)
        if mode & 2:
            numbers = struct.unpack("<QQQ", program[:24].ljust(24, b"\0"))
            watermark = Watermark(*numbers) if mode & 4 else self._base.watermark
            writer = WatermarkWriter(directory)
            writer.publish(watermark)
            writer.close()

    def _check_true(self, events: list[RecordedEvent]) -> None:
        """No checksum was made to fit: what is read is what was written."""
        for event in events:
            if event.type != "log.lost.v1":
                assert event == self._base.events[event.position - 1], "a wrong event"

    def _check_any(self, events: list[RecordedEvent]) -> None:
        positions = [event.position for event in events]
        assert positions == sorted(set(positions)), "positions go up"

    def _read_all(self, directory: Path, check: Callable[[list[RecordedEvent]], None]) -> None:
        names = [entry.path.name for entry in segment.list_segments(directory)]
        for name in names:
            _read_segment(directory / name, check)
        with documented():
            operations.info(directory)
        with documented():
            check(_read_on(directory))
        report = None
        with documented():
            report = operations.verify(directory)
        with documented():
            check(list(operations.export(directory)))
        with documented():
            operations.salvage(directory, directory.parent / "salvaged")
            copied = list(operations.export(directory.parent / "salvaged"))
            assert [event.position for event in copied] == list(range(1, len(copied) + 1))
            check(copied)
            assert operations.verify(directory.parent / "salvaged").ok
        with documented():
            segments, tail = recover(directory, Disk())
            last = tail.next_position - 1 if tail else 0
            (directory / FILE_NAME).unlink(missing_ok=True)
            events = list(operations.export(directory))
            check(events)
            if tail is not None:
                assert [event.position for event in events] == list(range(1, last + 1))
            if report is not None and report.ok and segments[-1].sealed:
                assert operations.verify(directory).ok


def _read_on(directory: Path) -> list[RecordedEvent]:
    """Every event that can be read in small steps, from any position."""
    segments = segment.list_segments(directory)
    upto = operations.durable_end(directory, segments)
    reader = SegmentReader(directory)
    events: list[RecordedEvent] = []
    try:
        for after in (3, 7, 1):
            with documented():
                reader.read(after, 2, upto)
        while found := reader.read(events[-1].position if events else 0, 3, upto):
            events += found
    except DOCUMENTED:
        pass
    finally:
        reader.close()
    return events


def _read_segment(path: Path, check: Callable[[list[RecordedEvent]], None]) -> None:
    with documented():
        segment.read_footer(path)
    with documented():
        segment.read_footer_streams(path)
    header = None
    with documented():
        header = segment.read_header(path)
    size = path.stat().st_size
    seed = format.frame_seed(header.uuid) if header else 0
    first, start = int(path.stem), format.SEGMENT_HEADER_BYTES
    with path.open("rb") as file:
        for end in (None, size, size // 2):
            with documented():
                events: list[RecordedEvent] = []
                for number, frame in enumerate(walk(file.fileno(), seed, start, end, first)):
                    assert number < size // format.FRAME_OVERHEAD, "more frames than fit"
                    events += frame.records()
                    last = frame.header.base_position + frame.header.events - 1
                    frame.record(last, format.FRAME_HEADER_BYTES, frame.header.events - 1)
                check(events)
        for position in (first, first + 2, first + 100, _U64):
            with documented():
                find_frame(file.fileno(), seed, start, size, first, up_to(position))
