"""Whatever is changed in the log, verification finds it and names it."""

import random
import shutil
from pathlib import Path

import pytest

from infrastructure.eventlog.reader import LogReader
from infrastructure.eventlog.segment import list_segments, read_footer
from infrastructure.transparency.signed_note import Checkpoint
from infrastructure.transparency.verifying import AuditReport, verify, verify_range
from tests.infrastructure.transparency.conftest import Tree


@pytest.fixture
def built(tree: Tree) -> tuple[Tree, Checkpoint]:
    tree.append(1_500, batch=15)
    return tree, tree.build()


def test_an_untouched_log_verifies(built: tuple[Tree, Checkpoint]) -> None:
    tree, signed = built
    tree.append(20)
    report = verify(tree.files, signed, signed)
    assert report == AuditReport(True, 1, 1520, 1520, 1500, 1500, 20, [])
    assert verify_range(tree.files, signed, signed, 200, 777).ok
    assert verify_range(tree.files, signed, None, 1_490, None).events == 31


def test_a_pinned_checkpoint_of_any_age_verifies(tree: Tree) -> None:
    pinned = []
    for count in (1, 254, 1, 300):
        tree.append(count)
        pinned.append(tree.build())
    for old in pinned:
        assert verify(tree.files, pinned[-1], old).ok
        assert verify_range(tree.files, pinned[-1], old, 5, 9).ok


def test_a_flipped_byte_anywhere_in_a_sealed_segment_is_found_and_its_event_named(
    built: tuple[Tree, Checkpoint],
) -> None:
    tree, signed = built
    segments = [segment for segment in list_segments(tree.files.log) if segment.sealed]
    path = segments[1].path
    good, footer = path.read_bytes(), read_footer(path)
    reader = LogReader(tree.files.log)
    events = {event.position: event for event in reader.read(0, 1_500)}
    reader.close()
    chosen = random.Random(5).sample(range(len(good)), 60)
    path.chmod(0o600)
    named = 0
    for at in [0, 70, footer.content_end - 1, footer.content_end + 5, len(good) - 1, *chosen]:
        path.write_bytes(good[:at] + bytes([good[at] ^ 0x10]) + good[at + 1 :])
        report = verify(tree.files, signed)
        assert not report.ok, at
        finding = report.findings[0]
        assert footer.first_position <= finding.position <= footer.last_position
        event = events[finding.position]
        assert finding.event == f"{event.stream} @{event.version} {event.type}"
        payload = good.find(event.payload, 76)
        named += payload <= at < payload + len(event.payload)
    # Where the byte belongs to a payload, exactly that event is named.
    for event in (events[footer.first_position + 7], events[footer.last_position - 3]):
        at = good.index(event.payload) + 2
        path.write_bytes(good[:at] + bytes([good[at] ^ 1]) + good[at + 1 :])
        report = verify(tree.files, signed)
        assert report.findings[0].position == event.position
        assert report.findings[0].code == "log-corrupt-frame"
    path.write_bytes(good)
    assert verify(tree.files, signed).ok
    assert named


def rewrite(tree: Tree, other: Tree) -> None:
    """Another history, whole in itself, with the keys of this one."""
    shutil.copytree(tree.files.key.parent, other.files.key.parent, dirs_exist_ok=True)


def test_a_rewritten_history_is_named_by_the_tiles(
    built: tuple[Tree, Checkpoint], tmp_path: Path
) -> None:
    tree, signed = built
    other = Tree(tmp_path / "other")
    other.append(900, batch=15)
    other.append(15, batch=15, text="改")
    other.append(585, batch=15)
    shutil.copytree(tree.files.tree, other.files.tree)
    report = verify(other.files, signed)
    assert not report.ok
    # Times differ in a log of its own, so that the first event does.
    assert report.findings[0].position == 1
    assert report.findings[0].event == "conversation-1 @0 message.sent.v1"
    assert {finding.code for finding in report.findings} == {"audit-contradiction"}
    other.log.close()


def test_a_rewritten_history_with_tiles_of_its_own_is_caught_by_a_pinned_checkpoint(
    built: tuple[Tree, Checkpoint], tmp_path: Path
) -> None:
    tree, pinned = built
    other = Tree(tmp_path / "other")
    other.append(1_600, batch=15, text="改")
    other.files.key.parent.mkdir(mode=0o700, exist_ok=True)
    shutil.copy(tree.files.key, other.files.key)  # who has the key can sign anything
    forged = other.build()
    assert verify(other.files, forged).ok
    report = verify(other.files, forged, pinned)
    assert [finding.code for finding in report.findings] == ["audit-contradiction"]
    assert "pinned" in report.findings[0].reason
    assert not verify_range(other.files, forged, pinned, 5, 9).ok
    other.log.close()


def test_a_log_that_was_cut_is_found(tree: Tree, tmp_path: Path) -> None:
    tree.append(100)
    pinned = tree.build()
    other = Tree(tmp_path / "other")
    other.append(90)
    rewrite(tree, other)
    shutil.copytree(tree.files.tree, other.files.tree)
    report = verify(other.files, pinned, pinned)
    assert "audit-log-cut" in {finding.code for finding in report.findings}
    other.log.close()


@pytest.mark.parametrize("path", ["tile/0/002", "tile/0/005.p/220", "tile/1/000.p/5"])
def test_a_damaged_tile_is_found(built: tuple[Tree, Checkpoint], path: str) -> None:
    tree, signed = built
    tile = tree.files.tree / path
    data = tile.read_bytes()
    tile.write_bytes(data[:40] + bytes([data[40] ^ 1]) + data[41:])
    assert not verify(tree.files, signed).ok
    tile.write_bytes(data[:-1])
    assert not verify(tree.files, signed).ok
    tile.unlink()
    report = verify(tree.files, signed)
    assert report.findings[0].code == "audit-missing-tile"


def test_a_range_whose_tiles_are_forged_is_found(built: tuple[Tree, Checkpoint]) -> None:
    tree, signed = built
    assert verify_range(tree.files, signed, None, 300, 400).ok
    tile = tree.files.tree / "tile/1/000.p/5"
    tile.write_bytes(bytes(len(tile.read_bytes())))
    report = verify_range(tree.files, signed, None, 300, 400)
    assert report.findings[0].position == 257
