"""Finding events: by position without an index, by stream with one, and being woken."""

import os
import select
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from infrastructure.eventlog import format, frames, operations
from infrastructure.eventlog.errors import CorruptFrame
from infrastructure.eventlog.index import Checkpoint, Index
from infrastructure.eventlog.notify import FileWatch
from infrastructure.eventlog.reader import LogReader
from infrastructure.eventlog.segment import read_header
from infrastructure.eventlog.store import EventLog
from infrastructure.eventlog.tail import StreamTail
from tests.infrastructure.eventlog.conftest import batch
from tests.infrastructure.eventlog.test_damage import the_segment


def test_every_position_is_found_by_halving_though_payloads_look_like_frames(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(frames, "_PROBE_BYTES", 300)
    directory = tmp_path / "log"
    with EventLog.open(directory) as log:
        for number in range(60):
            log.append_sync([batch("s", *[format.FRAME_MAGIC * 30] * (number % 4 + 1))])
        stolen = the_segment(directory).read_bytes()[76:300]
        log.append_sync([batch("s", stolen), batch("s", b"end")])
        last = log.durable_position
    path = the_segment(directory)
    seed = format.frame_seed(read_header(path).uuid)
    bases = {}
    with path.open("rb") as file:
        for frame in frames.walk(file.fileno(), seed, 76, None, 1):
            for event in frame.records():
                bases[event.position] = (frame.offset, frame.header.base_position)
        end = os.fstat(file.fileno()).st_size
        for position in range(1, last + 1):
            found = frames.find_frame(file.fileno(), seed, 76, end, 1, frames.up_to(position))
            assert found is not None
            assert (found[0], found[1].base_position) == bases[position]


def test_a_reader_that_jumps_about_reads_what_one_in_order_reads(tmp_path: Path) -> None:
    directory = tmp_path / "log"
    with EventLog.open(directory, max_segment_bytes=1_000) as log:
        for number in range(120):
            log.append_sync([batch(f"s{number % 5}", b"%d" % number, b"+")])
        reader = LogReader(directory)
        whole = reader.read(0, 1_000)
        assert [event.position for event in whole] == list(range(1, 241))
        for after in (239, 0, 57, 58, 59, 7, 180, 3, 240):
            for limit in (1, 3, 500):
                assert reader.read(after, limit) == whole[after : after + limit]
        reader.close()


def test_a_damaged_frame_is_an_error_for_whoever_reads_it_and_nobody_else(tmp_path: Path) -> None:
    directory = tmp_path / "log"
    with EventLog.open(directory) as log:
        for number in range(5):
            log.append_sync([batch(f"s{number}", b"%d" % number)])
        path = the_segment(directory)
        data = path.read_bytes()
        with path.open("r+b") as file:
            file.seek(data.index(b"KFRM", data.index(b"KFRM") + 1) + 50)
            file.write(b"\xff")
        reader = LogReader(directory)
        assert [event.payload for event in reader.read(0, 1)] == [b"0"]
        for _ in range(2):
            with pytest.raises(CorruptFrame) as caught:
                reader.read(1, 10)
            assert caught.value.next_position == 2
        assert [event.payload for event in log.read_stream("s3")] == [b"3"]
        with pytest.raises(CorruptFrame):
            log.read_stream("s1")
        reader.close()


def test_a_log_without_its_watermark_can_be_exported_and_described(tmp_path: Path) -> None:
    directory = tmp_path / "log"
    with EventLog.open(directory, max_segment_bytes=500) as log:
        for number in range(20):
            log.append_sync([batch("s", b"%d" % number)])
        in_use = list(operations.export(directory))
    (directory / "watermark").unlink()
    assert list(operations.export(directory)) == in_use
    assert [event.position for event in operations.export(directory, after=3, limit=4)] == [
        4,
        5,
        6,
        7,
    ]
    found = operations.info(directory)
    assert found.durable_position == 20
    assert found.segments[0].first_position == 1
    assert list(operations.export(tmp_path / "nothing")) == []
    assert operations.verify(tmp_path / "nothing").ok


OPERATIONS = st.lists(
    st.one_of(
        st.tuples(st.just("append"), st.integers(0, 3), st.integers(1, 5)),
        st.tuples(st.just("flush"), st.just(0), st.just(0)),
        st.tuples(st.just("rebuild"), st.just(0), st.just(0)),
    ),
    max_size=25,
)


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(OPERATIONS, st.integers(-1, 12), st.one_of(st.none(), st.integers(1, 8)))
def test_look_ups_by_stream_are_the_same_whatever_is_in_the_index(
    tmp_path_factory: pytest.TempPathFactory,
    steps: list[tuple[str, int, int]],
    after: int,
    limit: int | None,
) -> None:
    directory = tmp_path_factory.mktemp("log")
    expected: dict[str, list[bytes]] = {}
    log = EventLog.open(directory)
    try:
        for number, (kind, stream_number, count) in enumerate(steps):
            if kind == "append":
                name = f"s{stream_number}"
                payloads = [b"%d-%d" % (number, at) for at in range(count)]
                log.append_sync([batch(name, *payloads)])
                expected.setdefault(name, []).extend(payloads)
            elif kind == "flush":
                log._tail.flush()
            else:
                log.close()
                for table in list((directory / "index").iterdir())[::2]:
                    table.unlink()
                log = EventLog.open(directory)
        for name in ("s0", "s1", "s2", "s3"):
            payloads = expected.get(name, [])
            assert log.stream_version(name) == len(payloads) - 1
            end = None if limit is None else after + 1 + limit
            found = [event.payload for event in log.read_stream(name, after, limit)]
            assert found == payloads[after + 1 : end]
    finally:
        log.close()


def test_streams_with_gaps_in_their_versions_are_read_through_them(tmp_path: Path) -> None:
    index = Index(tmp_path / "index")
    checkpoint = Checkpoint(bytes(16), 1, 9, 1, 76, 0)
    index.add([("s", [(3, 2, 1, 76, 0), (9, 1, 7, 300, 2)])], checkpoint)
    tail = StreamTail(index, bytes(16))
    assert [at.version for at in tail.locations("s", -1, None)] == [3, 4, 9]
    assert [at.version for at in tail.locations("s", 3, None)] == [4, 9]
    assert [at.version for at in tail.locations("s", 5, 1)] == [9]
    assert tail.last_version("s") == 9
    index.close()


@pytest.mark.parametrize("inotify", [True, False])
def test_a_watch_becomes_readable_when_the_file_is_written(tmp_path: Path, inotify: bool) -> None:
    path = tmp_path / "watermark"
    path.write_bytes(b"before")
    watch = FileWatch(path, inotify=inotify)
    poller = select.poll()
    poller.register(watch.fileno(), select.POLLIN)
    assert not poller.poll(60)
    for content in (b"after1", b"after2"):
        with path.open("r+b") as file:
            file.write(content)
        assert poller.poll(10_000)
        watch.drain()
    watch.drain()
    assert not poller.poll(60)
    watch.close()
