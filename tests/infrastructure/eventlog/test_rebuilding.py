"""An index of which much is missing is built in the background, and until it is whole nothing that
looks up a stream is answered wrongly: it is refused."""

import errno
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from application.ports.event_store import ANY_VERSION, NO_STREAM, IndexRebuilding
from domain.errors import Unavailable
from infrastructure.eventlog import index, rebuild, rebuilding, store
from infrastructure.eventlog.errors import CorruptFrame
from infrastructure.eventlog.index import Checkpoint
from infrastructure.eventlog.reader import LogReader
from infrastructure.eventlog.store import EventLog
from tests.infrastructure.eventlog.conftest import batch
from tests.infrastructure.eventlog.gate import PATIENCE_S, Gate
from tests.serving import wait_until

EVENTS = 20
SEGMENT_BYTES = 500


@pytest.fixture(autouse=True)
def _small_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Any missing event is much, and a table holds two."""
    monkeypatch.setattr(store, "AT_ONCE_EVENTS", 0)
    monkeypatch.setattr(rebuild, "_BATCH_EVENTS", 2)
    monkeypatch.setattr(rebuilding, "_FIRST_RETRY_S", 0.01)


@pytest.fixture
def unindexed(tmp_path: Path) -> Path:
    """A log of 20 events in three streams and several segments, without its index."""
    directory = tmp_path / "log"
    with EventLog.open(directory, max_segment_bytes=SEGMENT_BYTES) as log:
        for number in range(EVENTS):
            log.append_sync([batch(f"s-{number % 3}", b"payload %d" % number)])
    shutil.rmtree(directory / "index")
    return directory


@pytest.fixture
def gate(unindexed: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Gate]:
    gate = Gate(unindexed)
    gate.stand_before(monkeypatch)
    yield gate
    gate.open()


def open_in_background(directory: Path) -> EventLog:
    return EventLog.open(directory, max_segment_bytes=SEGMENT_BYTES, index_in_background=True)


def check_streams(log: EventLog) -> None:
    for number in range(3):
        found = [event.payload for event in log.read_stream(f"s-{number}")]
        assert found == [b"payload %d" % at for at in range(number, EVENTS, 3)]
        assert log.stream_version(f"s-{number}") == len(found) - 1


def test_whatever_looks_up_a_stream_is_refused_until_the_index_is_whole(
    unindexed: Path, gate: Gate
) -> None:
    with open_in_background(unindexed) as log:
        gate.let(5)
        wait_until(lambda: len(gate.checkpoints) == 5, PATIENCE_S, "half of it is indexed")
        look_ups: list[Callable[[], object]] = [
            lambda: log.append_sync([batch("s-0", b"x", expected=6)]),
            lambda: log.append_sync([batch("new", b"x", expected=NO_STREAM)]),
            lambda: log.append_sync([batch("s-0", b"x", expected=ANY_VERSION)]),
            lambda: log.read_stream("s-0"),
            lambda: log.stream_version("s-19"),
            lambda: log.absent(["s-0", "new"]),
        ]
        for look_up in look_ups:
            with pytest.raises(IndexRebuilding, match=f"50 % of {EVENTS} events") as refused:
                look_up()
            assert refused.value.code == "index-rebuilding"
            assert isinstance(refused.value, Unavailable)
        assert log.index_progress == (10, EVENTS)
        gate.open()
        assert log.wait_for_index(PATIENCE_S)
        assert log.index_progress is None
        assert log.durable_position == EVENTS, "a refused append is refused whole"
        check_streams(log)
        assert log.absent(["s-0", "new"]) == {"new"}
        log.append_sync([batch("s-0", b"more", expected=6)])
        assert log.read_stream("s-0")[-1].position == EVENTS + 1


async def test_an_asynchronous_append_is_refused_too(unindexed: Path, gate: Gate) -> None:
    with open_in_background(unindexed) as log:
        with pytest.raises(IndexRebuilding):
            await log.append(batch("s-0", b"x"))
        gate.open()


def test_reading_by_position_goes_on_meanwhile(unindexed: Path, gate: Gate) -> None:
    with open_in_background(unindexed) as log:
        assert gate.waiting.wait(PATIENCE_S)
        assert len(log.read(0, 100)) == EVENTS
        assert log.read_matching(0, 100, types=["test.event.*"]).next_position == EVENTS
        reader = LogReader(unindexed)
        assert reader.wait(0, PATIENCE_S) == EVENTS
        assert len(reader.read(0, 100)) == EVENTS
        reader.close()
        assert log.failure is None
        gate.open()


def test_what_little_is_missing_is_indexed_before_the_log_is_open(
    unindexed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "AT_ONCE_EVENTS", EVENTS)
    with open_in_background(unindexed) as log:
        assert log.index_progress is None
        assert log.wait_for_index(0)
        check_streams(log)


def test_by_default_the_log_is_opened_when_the_index_is_whole(unindexed: Path) -> None:
    told: list[tuple[int, int]] = []
    with EventLog.open(unindexed, progress=lambda *done: told.append(done)) as log:
        assert log.index_progress is None
        check_streams(log)
    assert told[0] == (2, EVENTS)
    assert told[-1] == (EVENTS, EVENTS)


def test_an_intact_index_is_not_built_again(unindexed: Path, gate: Gate) -> None:
    gate.open()
    EventLog.open(unindexed).close()
    tables = len(gate.checkpoints)
    with open_in_background(unindexed) as log:
        assert log.index_progress is None
    assert len(gate.checkpoints) == tables


def test_a_full_disk_is_shown_and_tried_again_until_there_is_space(
    unindexed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = threading.Event()
    tried = threading.Semaphore(0)
    real = index.write_table
    written: list[Checkpoint] = []

    def write_table(path: Path, covers: Checkpoint, *rest: object) -> object:
        if path.parent != unindexed / "index":
            return real(path, covers, *rest)  # type: ignore[arg-type]
        if covers.last > EVENTS // 2 and full.is_set():
            tried.release()
            raise OSError(errno.ENOSPC, "No space left on device")
        written.append(covers)
        return real(path, covers, *rest)  # type: ignore[arg-type]

    full.set()
    monkeypatch.setattr(index, "write_table", write_table)
    with open_in_background(unindexed) as log:
        for _ in range(2):
            assert tried.acquire(timeout=PATIENCE_S)
        assert "No space left" in str(log.index_failure)
        assert log.index_error is None
        assert not log.wait_for_index(0)
        with pytest.raises(IndexRebuilding, match="No space left"):
            log.append_sync([batch("s-0", b"x")])
        full.clear()
        assert log.wait_for_index(PATIENCE_S)
        assert log.index_failure is None
        check_streams(log)
    assert [covers.first for covers in written if covers.last <= EVENTS // 2].count(1) == 1, (
        "it goes on where it was"
    )


def test_a_damaged_log_ends_the_rebuild_with_the_place_and_nothing_is_skipped(
    unindexed: Path,
) -> None:
    segment = sorted(unindexed.glob("*.seg"))[1]
    damaged = bytearray(segment.read_bytes())
    damaged[200] ^= 1
    segment.chmod(0o600)
    segment.write_bytes(damaged)
    with open_in_background(unindexed) as log:
        with pytest.raises(CorruptFrame, match=segment.name):
            log.wait_for_index(PATIENCE_S)
        assert isinstance(log.index_error, CorruptFrame)
        assert segment.name in str(log.index_failure)
        with pytest.raises(IndexRebuilding, match=segment.name):
            log.append_sync([batch("s-0", b"x")])
        assert log.read(0, 1)[0].payload == b"payload 0"
    assert segment.read_bytes() == damaged


def test_one_that_is_closed_goes_on_from_there_at_the_next_start(
    unindexed: Path, gate: Gate
) -> None:
    log = open_in_background(unindexed)
    gate.let(4)
    wait_until(lambda: len(gate.checkpoints) == 4, PATIENCE_S, "some tables are written")
    closing = threading.Thread(target=log.close)
    closing.start()
    wait_until(lambda: log._rebuilder and log._rebuilder._stop.is_set(), PATIENCE_S, "it is told")
    gate.open()  # for the table that was under way
    closing.join(PATIENCE_S)
    assert not closing.is_alive()
    kept = gate.checkpoints[-1].last
    assert 8 <= kept <= 10
    with open_in_background(unindexed) as log:
        assert log.wait_for_index(PATIENCE_S)
        check_streams(log)
    assert [one.first for one in gate.checkpoints] == list(range(1, EVENTS, 2))


def test_closing_does_not_wait_for_merging(
    unindexed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(index, "_WAIT_AT", 2)  # and nothing is merged before there are 8
    log = open_in_background(unindexed)
    wait_until(lambda: log._index.tables == 2, PATIENCE_S, "it waits for merging")
    log.close()
    with pytest.raises(IndexRebuilding):
        log.read_stream("s-0")


def test_a_segment_that_is_sealed_meanwhile_is_indexed_to_its_end(
    unindexed: Path, gate: Gate
) -> None:
    (active,) = unindexed.glob("*.open")
    with EventLog.open(unindexed, max_segment_age_s=0.05, index_in_background=True) as log:
        assert gate.waiting.wait(PATIENCE_S)
        wait_until(lambda: not active.exists(), PATIENCE_S, "the last segment is sealed by age")
        gate.open()
        assert log.wait_for_index(PATIENCE_S)
        check_streams(log)
        log.append_sync([batch("s-0", b"more", expected=6)])
