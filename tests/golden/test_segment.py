"""A segment's bytes are for ever: what version 1 wrote must read the same, and be written the same.

The golden file is written only by `KEFU_UPDATE_GOLDEN=1 pytest tests/golden` when it is missing.
"""

import hashlib
import os
import shutil
from pathlib import Path

import pytest

from application.ports.event_store import ANY_VERSION, NewEvent, RecordedEvent, StreamAppend
from infrastructure.eventlog import active, encoding, format, operations
from infrastructure.eventlog.disk import Disk
from infrastructure.eventlog.sealing import seal
from infrastructure.eventlog.store import EventLog

GOLDEN = Path(__file__).parent / "segment" / "v1.seg"
NAME = f"{1:020d}"
UUID = bytes(range(16))
TIMES = (1_700_000_000_000_000, 1_700_000_000_000_123)

GROUPS = (
    [
        StreamAppend("conversation-1", ANY_VERSION, [NewEvent("t.opened.v1", b'{"a":1}', b"{}")]),
        StreamAppend("message-1", ANY_VERSION, [NewEvent("t.sent.v1", "你好".encode(), b"")]),
    ],
    [
        StreamAppend(
            "conversation-1",
            ANY_VERSION,
            [NewEvent("t.closed.v2", b"", b"{}"), NewEvent("t.rated.v1", bytes(300), b"\x00")],
        )
    ],
)

EVENTS = [
    RecordedEvent(1, "conversation-1", 0, "t.opened.v1", TIMES[0], b"{}", b'{"a":1}'),
    RecordedEvent(2, "message-1", 0, "t.sent.v1", TIMES[0], b"", "你好".encode()),
    RecordedEvent(3, "conversation-1", 1, "t.closed.v2", TIMES[1], b"{}", b""),
    RecordedEvent(4, "conversation-1", 2, "t.rated.v1", TIMES[1], b"\x00", bytes(300)),
]


def write_segment(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(active.secrets, "token_bytes", lambda size: UUID[:size])
    disk = Disk()
    segment = active.ActiveSegment.create(folder, 1, bytes(32), disk)
    versions: dict[str, int] = {}
    position = 1
    for batch, time_us in zip(GROUPS, TIMES, strict=True):
        encoder = encoding.GroupEncoder(segment.seed, position, time_us)
        firsts = [versions.get(append.stream, -1) + 1 for append in batch]
        for append, first in zip(batch, firsts, strict=True):
            versions[append.stream] = first + len(append.events) - 1
        encoder.add(batch, firsts, encoding.check_batch(batch)[1])
        segment.append([frame.data for frame in encoder.finish()], time_us)
        position = encoder.next_position
    segment.close()
    return seal(segment.path, segment.end, segment.content_hash(), disk)


def test_a_segment_is_written_byte_for_byte_as_it_always_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = write_segment(tmp_path, monkeypatch).read_bytes()
    if os.environ.get("KEFU_UPDATE_GOLDEN") == "1" and not GOLDEN.exists():
        GOLDEN.write_bytes(written)
    assert written == GOLDEN.read_bytes()


def test_a_stored_segment_reads_as_it_was_written(tmp_path: Path) -> None:
    shutil.copy(GOLDEN, tmp_path / f"{NAME}.seg")
    assert operations.verify(tmp_path).ok
    with EventLog.open(tmp_path) as log:
        assert log.read(0, 10) == EVENTS
        assert log.read_stream("conversation-1") == [EVENTS[0], *EVENTS[2:]]
        log.append_sync([[StreamAppend("message-1", 0, [NewEvent("t.more.v1", b"", b"")])]])


def test_the_diagrams_hold() -> None:
    """The offsets and sizes that docs/formats/segment.md draws."""
    data = GOLDEN.read_bytes()
    assert data[:8] == b"KEFULOG\x00"
    assert (data[8:10], data[16:32]) == (b"\x01\x00", UUID)
    assert int.from_bytes(data[32:40], "little") == 1
    first = 76
    assert data[first : first + 4] == b"KFRM"
    length = int.from_bytes(data[first + 4 : first + 8], "little")
    assert data[first + length - 4 : first + length] == data[first + 4 : first + 8]
    assert int.from_bytes(data[first + 12 : first + 16], "little") == 2
    record = first + 32
    assert int.from_bytes(data[record : record + 4], "little") == len(b'{"a":1}')
    names = b"conversation-1t.opened.v1{}"
    assert data[record + 16 : record + 16 + len(names)] == names
    assert data[-8:] == b"KEFUEND\x00"
    body = int.from_bytes(data[-16:-12], "little")
    footer = len(data) - 16 - body
    assert data[footer : footer + 4] == b"KFTR"
    assert data[footer + 48 : footer + 80] == hashlib.sha256(data[:footer]).digest()
    assert format.FOOTER_FIXED_BYTES == 84
    assert format.SEGMENT_HEADER_BYTES == 76
