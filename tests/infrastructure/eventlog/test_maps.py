"""Maps of sealed segments: readers find with them what they find without, and read less."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from application.ports.event_store import ANY_VERSION, NewEvent, RecordedEvent, StreamAppend
from infrastructure.eventlog import format
from infrastructure.eventlog.frames import walk
from infrastructure.eventlog.maps import MAPS_DIRECTORY, map_path, read_map
from infrastructure.eventlog.reader import LogReader
from infrastructure.eventlog.segment import list_segments, read_footer, read_header
from infrastructure.eventlog.segment_map import BadMap, MapBuilder, SegmentMap
from infrastructure.eventlog.store import EventLog
from tests.infrastructure.eventlog.test_filtering import happenings, naive
from tests.serving import wait_until

FILTERS: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...] = (
    (("message.sent.v1",), ()),
    (("消息.v1", "contact.*"), ()),
    ((), ("contact",)),
    (("message.*",), ("客户", "conversation")),
    (("none.v1",), ()),
)


def mapped(directory: Path) -> list[bool]:
    """For each sealed segment, whether its map is there and whole."""
    return [
        read_map(
            directory,
            segment.base_position,
            read_header(segment.path).uuid,
            read_footer(segment.path).content_end,
        )
        is not None
        for segment in list_segments(directory)
        if segment.sealed
    ]


def write(directory: Path, groups: list[list[tuple[str, str]]], segment_bytes: int = 400) -> None:
    with EventLog.open(directory, max_segment_bytes=segment_bytes) as log:
        for group in groups:
            log.append_sync(
                [[StreamAppend(s, ANY_VERSION, [NewEvent(t, b"{}", b"{}")])] for s, t in group]
            )


def make_maps(directory: Path) -> None:
    with EventLog.open(directory):
        wait_until(lambda: all(mapped(directory)), 10, "a map for each sealed segment")


@pytest.fixture
def log_of_many_segments(tmp_path: Path) -> Path:
    directory = tmp_path / "log"
    kinds = [("message-1", "message.sent.v1")] * 3 + [("contact-1", "contact.created.v1")]
    write(directory, [[kind] for kind in kinds * 10])
    make_maps(directory)
    assert len(mapped(directory)) > 5
    return directory


def all_matching(
    reader: LogReader, after: int, types: tuple[str, ...], categories: tuple[str, ...], limit: int
) -> Iterator[RecordedEvent]:
    end = reader.durable_position()
    while after < end:
        found = reader.read_matching(after, limit, types, categories)
        assert found.next_position > after
        yield from found.events
        after = found.next_position


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(happenings, st.integers(1, 4), st.data())
def test_with_maps_a_filter_finds_what_it_finds_without(
    tmp_path_factory: pytest.TempPathFactory,
    groups: list[list[tuple[str, str]]],
    limit: int,
    data: st.DataObject,
) -> None:
    directory = tmp_path_factory.mktemp("log")
    write(directory, groups)
    make_maps(directory)
    reader = LogReader(directory)
    everything = reader.read(0, 1_000)
    after = data.draw(st.integers(0, len(everything)))
    for types, categories in FILTERS:
        found = list(all_matching(reader, after, types, categories, limit))
        assert found == [
            event
            for event in everything
            if event.position > after and naive(event, types, categories)
        ]
    for position in range(1, len(everything) + 1):
        assert reader.read(position - 1, 1) == everything[position - 1 : position]
    reader.close()


@pytest.mark.parametrize("maps", [True, False])
def test_the_position_at_a_moment_is_that_of_the_last_event_until_then(
    log_of_many_segments: Path, maps: bool
) -> None:
    if not maps:
        shutil.rmtree(log_of_many_segments / MAPS_DIRECTORY)
    reader = LogReader(log_of_many_segments)
    events = reader.read(0, 1_000)
    moments = {event.recorded_us + more for event in events for more in (-1, 0, 1)}
    for moment in (0, *moments, 2**62):
        expected = max((e.position for e in events if e.recorded_us <= moment), default=0)
        assert reader.position_at(moment) == expected
    assert reader.read(0, 1_000) == events
    reader.close()


def test_an_empty_log_has_no_position_at_any_moment(tmp_path: Path) -> None:
    with EventLog.open(tmp_path / "log") as log:
        assert log.position_at(2**62) == 0


def test_frames_without_what_is_wanted_are_not_read(log_of_many_segments: Path) -> None:
    damaged = 0
    for segment in list_segments(log_of_many_segments):
        if not segment.sealed:
            continue
        seed, end = format.frame_seed(read_header(segment.path).uuid), 0
        end = read_footer(segment.path).content_end
        with segment.path.open("rb") as file:
            offsets = [
                frame.offset
                for frame in walk(file.fileno(), seed, 76, end, segment.base_position)
                if not any(event.stream == "contact-1" for event in frame.records())
            ]
        segment.path.chmod(0o600)
        with segment.path.open("r+b") as file:
            for offset in offsets:
                file.seek(offset + 4)
                file.write(b"\xff" * 16)
                damaged += 1
    assert damaged > 20
    reader = LogReader(log_of_many_segments)
    found = list(all_matching(reader, 0, (), ("contact",), 3))
    assert [event.version for event in found] == list(range(10))
    reader.close()


def test_a_missing_or_damaged_map_is_made_again_at_the_next_start(
    log_of_many_segments: Path,
) -> None:
    sealed = [s for s in list_segments(log_of_many_segments) if s.sealed]
    paths = [map_path(log_of_many_segments, segment.base_position) for segment in sealed]
    before = [path.read_bytes() for path in paths]
    paths[0].unlink()
    for number, path in enumerate(paths[1:]):
        damaged = bytearray(path.read_bytes())
        damaged[number * 7 % len(damaged)] ^= 1
        path.write_bytes(damaged)
    paths[2].write_bytes(before[2][:40])
    assert mapped(log_of_many_segments).count(True) == 0
    reader = LogReader(log_of_many_segments)
    assert len(list(all_matching(reader, 0, (), ("contact",), 3))) == 10
    make_maps(log_of_many_segments)
    # Read from the segment it is the same as counted along by the writer.
    assert [path.read_bytes() for path in paths] == before
    reader.close()


def test_a_map_of_another_segment_is_not_used(log_of_many_segments: Path) -> None:
    first, second, *_ = (s for s in list_segments(log_of_many_segments) if s.sealed)
    data = map_path(log_of_many_segments, second.base_position).read_bytes()
    uuid, end = read_header(first.path).uuid, read_footer(first.path).content_end
    with pytest.raises(BadMap):
        SegmentMap(data, uuid, end)


def test_a_segment_that_another_process_began_gets_its_map_from_the_file(tmp_path: Path) -> None:
    directory = tmp_path / "log"
    for number in range(6):
        write(directory, [[("message-1", "message.sent.v1")]], 400)
        if mapped(directory):
            break
        assert number < 5
    make_maps(directory)
    assert mapped(directory) == [True]


def test_types_beyond_the_63_that_have_a_bit_are_found_all_the_same(tmp_path: Path) -> None:
    directory = tmp_path / "log"
    write(directory, [[(f"c{n}-1", f"type.{n}.v1")] for n in range(70)], 100_000)
    builder = MapBuilder()
    segment = list_segments(directory)[0]
    seed = format.frame_seed(read_header(segment.path).uuid)
    with segment.path.open("rb") as file:
        frames = list(walk(file.fileno(), seed, 76, None, 1))
    for frame in frames:
        builder.add_frame(frame)
    end = frames[-1].offset + frames[-1].header.length
    found = SegmentMap(builder.encode(b"u" * 16, end, 71), b"u" * 16, end)
    for wanted in range(70):
        passes = found.passing((b"type.%d.v1" % wanted).__eq__, ())
        passing = [number for number in range(found.frames) if passes(number)]
        assert passing == sorted({wanted, *range(63, 70)})
        passes = found.passing(lambda name: True, (b"c%d" % wanted,))
        assert [n for n in range(found.frames) if passes(n)] == passing
    assert found.place(70) == (end, 71)


def test_a_segment_that_was_sealed_since_it_was_opened_is_searched_up_to_its_footer(
    tmp_path: Path,
) -> None:
    directory = tmp_path / "log"
    with EventLog.open(directory, max_segment_bytes=2_000) as log:

        def append(number: int) -> None:
            event = NewEvent("message.sent.v1", b"%d" % number, b"{}")
            log.append_sync([[StreamAppend("message-1", ANY_VERSION, [event])]])

        append(0)
        reader = LogReader(directory)
        assert len(reader.read(0, 10)) == 1  # it has the segment open, and not sealed
        number = 0
        while not mapped(directory):
            append(number := number + 1)
        log.close()
    shutil.rmtree(directory / MAPS_DIRECTORY, ignore_errors=True)  # it may not be there yet
    last = read_footer(list_segments(directory)[0].path).last_position
    (event,) = reader.read(last - 1, 1)
    assert event.position == last
    assert reader.position_at(event.recorded_us) >= last
    for position in range(1, last + 1):
        assert [e.position for e in reader.read(position - 1, 1)] == [position]
    reader.close()
