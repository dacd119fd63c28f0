"""What the writer does when something fails, fills up or goes backwards."""

import asyncio
import errno
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from application.ports.event_store import ANY_VERSION, NewEvent, StoreReadOnly, StreamAppend
from domain.errors import Busy
from infrastructure.eventlog import indexing, queue, store, tail, writer
from infrastructure.eventlog.disk import Disk, DiskFull
from infrastructure.eventlog.index import Index
from infrastructure.eventlog.store import EventLog
from tests.contracts.event_store import append
from tests.infrastructure.eventlog.conftest import batch
from tests.serving import wait_until


class SmallDisk(Disk):
    """A fake for failure only: the real disk, with a switch for "no space left"."""

    full = False

    def write(self, fd: int, data: Sequence[bytes], offset: int) -> None:
        if self.full:
            raise OSError(errno.ENOSPC, "No space left on device")
        super().write(fd, data, offset)

    def reserve(self, fd: int, offset: int, length: int) -> None:
        if self.full:
            raise DiskFull(errno.ENOSPC, "No space left on device")
        super().reserve(fd, offset, length)


async def test_a_full_disk_refuses_appends_and_takes_them_again_when_there_is_space(
    tmp_path: Path,
) -> None:
    disk = SmallDisk()
    with EventLog.open(tmp_path / "log", disk=disk) as log:
        disk.full = True
        with pytest.raises(StoreReadOnly, match="no space"):
            await log.append([append("s", -1, b"refused")])
        assert log.failure is not None
        assert log.durable_position == 0
        disk.full = False
        assert await log.append([append("s", -1, b"taken")]) == 1
        assert log.failure is None
    with EventLog.open(tmp_path / "log") as log:
        assert [event.payload for event in log.read(0, 10)] == [b"taken"]


async def test_without_space_for_a_new_segment_the_log_goes_on_in_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "_ROLL_RETRY_S", 0.05)
    disk = SmallDisk()
    directory = tmp_path / "log"
    with EventLog.open(directory, disk=disk, max_segment_bytes=1) as log:

        def reserve(fd: int, offset: int, length: int) -> None:
            if offset == 0:
                raise DiskFull(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(disk, "reserve", reserve)
        for number in range(3):
            await log.append([append("s", ANY_VERSION, b"%d" % number)])
        assert not list(directory.glob("*.new"))
        assert len(list(directory.glob("*.open"))) == 1
        monkeypatch.undo()
        await log.append([append("s", ANY_VERSION, b"3")])
        wait_until(lambda: list(directory.glob("*.seg")), 10, "the segment is sealed")
        assert log.failure is None
        assert [event.payload for event in log.read(0, 10)] == [b"0", b"1", b"2", b"3"]


async def test_sealing_waits_for_space_and_a_footer_is_never_half(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from infrastructure.eventlog import operations, sealing

    monkeypatch.setattr(sealing, "_RETRY_S", 0.02)
    directory = tmp_path / "log"
    disk = SmallDisk()
    real, refusals = disk.write, []

    def write(fd: int, data: Sequence[bytes], offset: int) -> None:
        if data[0].startswith(b"KFTR") and len(refusals) < 3:
            refusals.append(offset)
            real(fd, [data[0][:40]], offset)
            raise OSError(errno.ENOSPC, "No space left on device")
        real(fd, data, offset)

    monkeypatch.setattr(disk, "write", write)
    with EventLog.open(directory, disk=disk, max_segment_bytes=1) as log:
        await log.append([append("s", ANY_VERSION, b"x")])
        wait_until(lambda: list(directory.glob("*.seg")), 10, "the segment is sealed")
        assert log.failure is None
        await log.append([append("s", ANY_VERSION, b"y")])
    assert len(refusals) == 3
    assert operations.verify(directory).ok


async def test_a_batch_that_can_not_be_written_harms_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> int:
        raise OSError(errno.EIO, "Input/output error")

    with EventLog.open(tmp_path / "log") as log:
        for bad in (NewEvent("t", "text", b""), NewEvent("t", b"", None)):  # type: ignore[arg-type]
            with pytest.raises(TypeError):
                await log.append([StreamAppend("s", ANY_VERSION, [bad])])
        many = [NewEvent("t" * 500, b"", b"")] * 1000
        with pytest.raises(ValueError, match="at most 16777216"):
            await log.append([StreamAppend(f"s{n}", ANY_VERSION, many) for n in range(40)])
        with monkeypatch.context() as patch:
            patch.setattr(tail.StreamTail, "last_version", refuse)
            with pytest.raises(StoreReadOnly, match="could not be encoded"):
                await log.append([append("s", -1, b"x")])
        assert await log.append([append("s", -1, b"fine")]) == 1
        assert log.failure is None


async def test_a_queue_that_is_full_answers_busy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue, "MAX_QUEUE_BYTES", 1000)
    held = threading.Event()
    disk = Disk()
    real = disk.flush

    def flush(fd: int) -> None:
        held.wait(20)
        real(fd)

    with EventLog.open(tmp_path / "log", disk=disk) as log:
        monkeypatch.setattr(disk, "flush", flush)
        first = asyncio.create_task(log.append([append("s", ANY_VERSION, b"x")]))
        await asyncio.sleep(0)
        wait_until(lambda: log.stats.queue_depth == 0, 10, "the first is on its way")
        second = asyncio.create_task(log.append([append("s", ANY_VERSION, b"x" * 900)]))
        await asyncio.sleep(0)
        with pytest.raises(Busy):
            await log.append([append("s", ANY_VERSION, b"x" * 900)])
        held.set()
        assert (await first, await second) == (1, 2)


def test_callers_whose_event_loop_is_gone_do_not_stop_the_writer(tmp_path: Path) -> None:
    with EventLog.open(tmp_path / "log") as log:

        async def leave() -> None:
            waiting = asyncio.ensure_future(log.append([append("s", ANY_VERSION, b"x")]))
            await asyncio.sleep(0)
            waiting.cancel()

        for _ in range(20):
            asyncio.run(leave())
        log.append_sync([batch("s", b"last")])
        assert log.durable_position == 21


def test_recorded_times_do_not_go_back_over_a_restart_or_with_the_clock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = tmp_path / "log"
    future = time.time_ns() + 3_600_000_000_000
    for now in (future, 1_000_000_000, 2_000_000_000):
        monkeypatch.setattr(time, "time_ns", lambda now=now: now)
        with EventLog.open(directory, max_segment_bytes=1) as log:
            log.append_sync([batch("s", b"x")])
            wait_until(lambda log=log: log.stats.segments_rolled == 1, 10, "it rolls")
    with EventLog.open(directory) as log:
        times = [event.recorded_us for event in log.read(0, 10)]
    assert times == [future // 1000] * 3


async def test_an_index_that_can_not_be_written_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = tmp_path / "log"
    monkeypatch.setattr(indexing, "FLUSH_S", 0.01)
    real = Index.add
    broken = True

    def add(self: Index, *arguments: Any) -> None:
        if broken:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(self, *arguments)

    monkeypatch.setattr(Index, "add", add)
    with EventLog.open(directory) as log:
        for number in range(20):
            await log.append([append(f"s{number % 2}", number // 2 - 1, b"%d" % number)])
            if number == 9:
                wait_until(lambda: log.index_failure is not None, 10, "the index fails")
        assert len(log.read_stream("s0")) == 10
        broken = False
        wait_until(lambda: log.index_failure is None, 10, "the index is written")
        assert log.stream_version("s1") == 9
    with EventLog.open(directory) as log:
        assert [event.version for event in log.read_stream("s0")] == list(range(10))
        assert [event.version for event in log.read_stream("s1")] == list(range(10))


async def test_memory_for_what_the_index_lacks_is_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "MAX_EVENTS", 5)

    def add(self: Index, *arguments: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with EventLog.open(tmp_path / "log") as log:
        with monkeypatch.context() as patch:
            patch.setattr(Index, "add", add)
            for _ in range(6):
                await log.append([append("s", ANY_VERSION, b"x")])
            with pytest.raises(StoreReadOnly, match="index"):
                await log.append([append("s", ANY_VERSION, b"x")])
        assert await log.append([append("s", ANY_VERSION, b"x")]) == 7


def test_an_index_that_leads_elsewhere_is_not_believed(tmp_path: Path) -> None:
    from infrastructure.eventlog.errors import WrongIndex

    with EventLog.open(tmp_path / "log") as log:
        log.append_sync([batch("a", b"1"), batch("b", b"2")])
    index = Index(tmp_path / "log" / "index")
    runs = index.runs("b", -1, None)
    checkpoint = index.checkpoint()
    assert checkpoint is not None
    index.add([("a", runs)], checkpoint)
    index.close()
    with EventLog.open(tmp_path / "log") as log, pytest.raises(WrongIndex):
        log.read_stream("a")


def test_a_log_that_failed_does_not_burn_the_processor(tmp_path: Path) -> None:
    class Broken(Disk):
        broken = False

        def flush(self, fd: int) -> None:
            if self.broken:
                raise OSError(errno.EIO, "Input/output error")
            super().flush(fd)

    disk = Broken()
    with EventLog.open(tmp_path / "log", disk=disk, max_segment_age_s=0.5) as log:
        log.append_sync([batch("s", b"x")])
        disk.broken = True
        wait_until(lambda: log.failure is not None, 10, "rolling by age fails")
        spent = time.process_time()
        threading.Event().wait(0.3)
        assert time.process_time() - spent < 0.15
        with pytest.raises(StoreReadOnly):
            log.append_sync([batch("s", b"y")])


def test_segments_have_a_sensible_size(tmp_path: Path) -> None:
    for size in (0, store.MAX_SEGMENT_LIMIT + 1):
        with pytest.raises(ValueError, match="segment"):
            EventLog.open(tmp_path / "log", max_segment_bytes=size)


def test_a_failed_start_leaves_nothing_locked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(store, "index_rest", refuse)
        with pytest.raises(OSError, match="Input/output"):
            EventLog.open(tmp_path / "log")
    EventLog.open(tmp_path / "log").close()
    assert tail.MAX_EVENTS > tail.FLUSH_EVENTS
