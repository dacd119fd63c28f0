"""The event log as an event store, and its readers in other processes."""

import asyncio
import multiprocessing
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from application.ports.event_store import ANY_VERSION, StoreReadOnly
from infrastructure.eventlog import format
from infrastructure.eventlog.disk import Disk
from infrastructure.eventlog.encoding import GroupEncoder, check_batch
from infrastructure.eventlog.reader import LogReader
from infrastructure.eventlog.store import EventLog
from tests.contracts.event_store import EventStoreContract, append
from tests.infrastructure.eventlog.conftest import batch


class TestEventLog(EventStoreContract):
    @pytest.fixture
    def store(self, tmp_path: Path) -> Iterator[EventLog]:
        with EventLog.open(tmp_path / "log") as log:
            yield log


class TestEventLogOfTinySegments(EventStoreContract):
    @pytest.fixture
    def store(self, tmp_path: Path) -> Iterator[EventLog]:
        with EventLog.open(tmp_path / "log", max_segment_bytes=200) as log:
            yield log


NAMES = st.text(min_size=1, max_size=20).filter(lambda s: s.isprintable())


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(
    st.lists(
        st.tuples(NAMES, st.binary(max_size=300), st.binary(max_size=50)), min_size=1, max_size=40
    ),
    st.integers(1, 5),
)
def test_what_is_encoded_is_decoded(events: list[tuple[str, bytes, bytes]], each: int) -> None:
    from application.ports.event_store import NewEvent, StreamAppend

    encoder = GroupEncoder(7, 100, 123)
    for at in range(0, len(events), each):
        batch = [
            StreamAppend(stream, ANY_VERSION, [NewEvent("t", payload, metadata)])
            for stream, payload, metadata in events[at : at + each]
        ]
        encoder.add(batch, [3] * len(batch), check_batch(batch)[1])
    decoded = []
    for frame in encoder.finish():
        header = format.check_frame(frame.data, 0, 7)
        records = list(format.decode_records(frame.data, 0, header))
        offsets, at = [], format.FRAME_HEADER_BYTES
        for record in records:
            offsets.append(at)
            variable = (record.stream.encode(), b"t", record.metadata, record.payload)
            at += format.RECORD_HEADER_BYTES + sum(map(len, variable))
        assert offsets == [offset for *_, offset in frame.runs]
        for number, record in enumerate(records):
            for hops in range(number + 1):
                place = (record.position, offsets[number - hops], hops)
                assert format.decode_record(frame.data, 0, header, *place) == record
        decoded += records
    assert [(e.stream, e.payload, e.metadata) for e in decoded] == events
    assert [e.position for e in decoded] == list(range(100, 100 + len(events)))
    assert all((e.version, e.recorded_us) == (3, 123) for e in decoded)


def test_a_reader_in_the_same_process_follows_over_many_segments(tmp_path: Path) -> None:
    reader = LogReader(tmp_path / "log")
    assert (reader.durable_position(), reader.read(0, 10)) == (0, [])
    seen: list[bytes] = []
    with EventLog.open(tmp_path / "log", max_segment_bytes=300) as log:
        for number in range(200):
            log.append_sync([batch(f"s{number % 3}", b"%d" % number)])
            if number % 7 == 0:
                seen += [e.payload for e in reader.read(len(seen), 1_000)]
    seen += [e.payload for e in reader.read(len(seen), 1_000)]
    assert seen == [b"%d" % number for number in range(200)]
    assert len(list((tmp_path / "log").glob("*.seg"))) > 5
    assert [e.payload for e in LogReader(tmp_path / "log").read(150, 3)] == [b"150", b"151", b"152"]
    reader.close()


def _follow(directory: Path, count: int, seen: Any) -> None:
    reader = LogReader(directory)
    position = 0
    while position < count:
        for event in reader.read(position, 50):
            position = event.position
            seen.put((event.position, event.payload))
        reader.wait(position, 5.0)


def test_a_reader_in_another_process_is_woken_and_sees_everything_once(tmp_path: Path) -> None:
    spawn = multiprocessing.get_context("spawn")
    seen: Any = spawn.Queue()
    with EventLog.open(tmp_path / "log", max_segment_bytes=2_000) as log:
        process = spawn.Process(target=_follow, args=(tmp_path / "log", 300, seen))
        process.start()
        for number in range(300):
            log.append_sync([batch("s", b"%d" % number)])
        found = [seen.get(timeout=30) for _ in range(300)]
        process.join(30)
    assert found == [(number + 1, b"%d" % number) for number in range(300)]


async def test_waiting_returns_when_something_is_durable(tmp_path: Path) -> None:
    with EventLog.open(tmp_path / "log") as log:
        reader = LogReader(tmp_path / "log")
        waiting = asyncio.create_task(asyncio.to_thread(reader.wait, 0, 20.0))
        await log.append([append("s", ANY_VERSION, b"x")])
        assert await waiting == 1
        reader.close()


class FailingDisk(Disk):
    """A fake for failure only: the real disk until it is told to fail."""

    fail_write = False
    fail_flush = False

    def write(self, fd: int, data: Sequence[bytes], offset: int) -> None:
        if self.fail_write:
            super().write(fd, [data[0][: len(data[0]) // 2]], offset)
            raise OSError(28, "No space left on device")
        super().write(fd, data, offset)

    def flush(self, fd: int) -> None:
        if self.fail_flush:
            raise OSError(5, "Input/output error")
        super().flush(fd)


@pytest.mark.parametrize("what", ["fail_write", "fail_flush"])
async def test_after_a_failed_write_nothing_is_acknowledged_and_the_rest_stays_readable(
    tmp_path: Path, what: str
) -> None:
    disk = FailingDisk()
    with EventLog.open(tmp_path / "log", disk=disk) as log:
        await log.append([append("s", ANY_VERSION, b"kept")])
        setattr(disk, what, True)
        with pytest.raises(StoreReadOnly, match="OSError"):
            await log.append([append("s", ANY_VERSION, b"lost")])
        setattr(disk, what, False)
        with pytest.raises(StoreReadOnly, match="OSError"):
            await log.append([append("s", ANY_VERSION, b"refused")])
        assert log.failure is not None
        assert [e.payload for e in log.read(0, 10)] == [b"kept"]
        assert [e.payload for e in log.read_stream("s")] == [b"kept"]
        reader = LogReader(tmp_path / "log")
        assert reader.durable_position() == 1
        reader.close()
    with EventLog.open(tmp_path / "log") as log:
        await log.append([append("s", ANY_VERSION, b"after")])
        found = [e.payload for e in log.read(0, 10)]
    # A failed flush leaves it open whether the bytes arrived; a half-written frame never counts.
    assert found in ([b"kept", b"after"], [b"kept", b"lost", b"after"])
    if what == "fail_write":
        assert found == [b"kept", b"after"]


async def test_a_restart_goes_on_with_positions_and_versions(tmp_path: Path) -> None:
    for start in range(3):
        with EventLog.open(tmp_path / "log") as log:
            assert log.durable_position == start * 2
            await log.append([append("s", start * 2 - 1, b"a", b"b")])
    with EventLog.open(tmp_path / "log") as log:
        assert [e.version for e in log.read_stream("s")] == list(range(6))
