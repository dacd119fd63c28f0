"""The index's tables: what they find, how they are merged, what a crash leaves of them."""

import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infrastructure.eventlog import index as indexes
from infrastructure.eventlog import merging
from infrastructure.eventlog.index import Checkpoint, Index, stream_key
from infrastructure.eventlog.table import BadTable, Run, Table, pack_entry
from infrastructure.eventlog.table_writing import write_table
from tests.serving import wait_until

UUID = bytes(range(16))


def _covers(first: int, last: int) -> Checkpoint:
    return Checkpoint(UUID, first, last, 1, 76 + first, last % 997)


def _entry(stream: str, run: Run) -> bytes:
    first, count, position, offset, number = run
    return pack_entry(stream_key(stream), first, position, offset, number, count)


def _write(path: Path, entries: list[bytes], chunk: int = 3) -> Table:
    ordered = sorted(entries)
    chunks = [ordered[at : at + chunk] for at in range(0, len(ordered), chunk)]
    return write_table(path, _covers(1, 9), len(ordered), chunks)


@settings(max_examples=60, deadline=None)
@given(
    streams=st.dictionaries(
        st.text(max_size=3), st.lists(st.integers(1, 3), min_size=1, max_size=40), max_size=60
    ),
    chunk=st.integers(1, 50),
)
def test_a_table_finds_every_run_of_every_stream_and_nothing_else(
    tmp_path_factory: pytest.TempPathFactory, streams: dict[str, list[int]], chunk: int
) -> None:
    runs: dict[str, list[Run]] = {}
    for stream, counts in streams.items():
        version = 0
        for count in counts:
            runs.setdefault(stream, []).append((version, count, 100 + version, 76, 2))
            version += count + 1  # with gaps
    entries = [_entry(stream, run) for stream, found in runs.items() for run in found]
    path = tmp_path_factory.mktemp("table") / "t.idx"
    table = _write(path, entries, chunk)
    table.check()
    for opened in (table, Table(path)):
        assert opened.covers == _covers(1, 9)
        for stream, expected in runs.items():
            found = opened.find(stream_key(stream))
            assert found is not None
            assert [opened.run(number) for number in found] == expected
            for first, count, *_ in expected:
                number = opened.first_after(found, first + count - 1)
                assert number == found.start + expected.index((first, count, *_)) + 1
        assert opened.find(stream_key("never there")) is None


@pytest.mark.parametrize("at", [0, 20, 90, 130, -1])
def test_a_changed_byte_is_found(tmp_path: Path, at: int) -> None:
    path = tmp_path / "t.idx"
    _write(path, [_entry(f"s{n}", (0, 1, n + 1, 76, 0)) for n in range(40)])
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)
    with pytest.raises(BadTable):
        Table(path).check()


@pytest.mark.parametrize("size", [0, 5, 120, 400])
def test_a_table_that_is_cut_short_is_none(tmp_path: Path, size: int) -> None:
    path = tmp_path / "t.idx"
    _write(path, [_entry(f"s{n}", (0, 1, n + 1, 76, 0)) for n in range(40)])
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(BadTable):
        Table(path)


def _add(index: Index, number: int) -> None:
    """Events 1 to 3 of a table: two of a shared stream, one of a new stream."""
    first = 3 * number + 1
    streams: list[tuple[str, list[Run]]] = [
        ("shared", [(2 * number, 2, first, 76, 0)]),
        (f"own-{number}", [(0, 1, first + 2, 76, 2)]),
    ]
    index.add(streams, _covers(first, first + 2))


def _check(index: Index, tables: int) -> None:
    assert index.last_version("shared") == 2 * tables - 1
    expected = [(2 * n, 2, 3 * n + 1, 76, 0) for n in range(tables)]
    assert index.runs("shared", -1, None) == expected
    assert index.runs("shared", 2 * tables - 3, None) == expected[-1:]
    assert index.runs("shared", 2, 3) == expected[1:3]
    names = [f"own-{n}" for n in range(tables)]
    assert index.absent([*names, "nobody"]) == ["nobody"]
    checkpoint = index.checkpoint()
    assert checkpoint is not None
    assert (checkpoint.last, index.last_version("own-0")) == (3 * tables, 0)


def test_small_tables_are_merged_and_nothing_is_lost_meanwhile(tmp_path: Path) -> None:
    index = Index(tmp_path / "index")
    for number in range(40):
        _add(index, number)
        _check(index, number + 1)
    wait_until(lambda: index.tables < merging.FAN_OUT, 20, "the tables are merged")
    _check(index, 40)
    index.close()
    assert index.failure is None
    again = Index(tmp_path / "index")
    _check(again, 40)
    again.close()


def test_a_crash_between_a_merge_and_its_clean_up_leaves_one_of_each(tmp_path: Path) -> None:
    index = Index(tmp_path / "index")
    for number in range(5):
        _add(index, number)
    index.close()
    files = {path.name: path.read_bytes() for path in (tmp_path / "index").iterdir()}
    tables = [Table(path) for path in sorted((tmp_path / "index").iterdir())]
    merging.merge(tmp_path / "index" / f"{1:020d}-{15:020d}.idx", tables, threading.Event().is_set)
    for name, data in files.items():
        (tmp_path / "index" / name).write_bytes(data)
    (tmp_path / "index" / "half.new").write_bytes(b"half")
    again = Index(tmp_path / "index")
    assert again.tables == 1
    _check(again, 5)
    assert len(list((tmp_path / "index").iterdir())) == 1
    again.close()


def test_what_stands_behind_a_gap_is_made_again(tmp_path: Path) -> None:
    index = Index(tmp_path / "index")
    for number in range(5):
        _add(index, number)
    index.close()
    sorted((tmp_path / "index").iterdir())[2].unlink()
    again = Index(tmp_path / "index")
    _check(again, 2)
    again.close()


def test_a_bad_table_is_not_merged_and_the_reason_is_shown(tmp_path: Path) -> None:
    index = Index(tmp_path / "index")
    for number in range(merging.FAN_OUT - 1):
        _add(index, number)
    path = sorted((tmp_path / "index").iterdir())[0]
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    _add(index, merging.FAN_OUT - 1)
    wait_until(lambda: index.failure is not None, 10, "the merge gives up")
    assert "checksum" in str(index.failure)
    assert index.last_version("shared") == 2 * merging.FAN_OUT - 1
    index.close()


def test_the_writer_waits_for_merging_only_when_it_is_far_behind() -> None:
    assert indexes._WAIT_AT > 4 * merging.FAN_OUT
