"""The scrubber finds what has rotted in any sealed segment, and changes nothing."""

import threading
from pathlib import Path

import pytest

from infrastructure.eventlog import scrubber
from infrastructure.eventlog.salvage import Finding
from infrastructure.eventlog.scrubber import STATE_FILE, Scrubber, ScrubberThread, read_state
from infrastructure.eventlog.segment import list_segments
from infrastructure.eventlog.store import EventLog
from tests.infrastructure.eventlog.conftest import batch
from tests.infrastructure.eventlog.test_damage import sealed_log
from tests.serving import wait_until

FAST = 1e6


class Stop:
    """Counts what the scrubber waits for, and stops it after a number of waits."""

    def __init__(self, after: int = 1_000_000_000) -> None:
        self.waited_s = 0.0
        self._left = after

    def wait(self, timeout: float) -> bool:
        self.waited_s += timeout
        self._left -= 1
        return self._left < 0


def flip(path: Path, offset: int) -> None:
    path.chmod(0o600)
    data = bytearray(path.read_bytes())
    data[offset] ^= 4
    path.write_bytes(data)


def sealed_paths(directory: Path) -> list[Path]:
    return [segment.path for segment in list_segments(directory) if segment.sealed]


def test_an_intact_log_is_read_to_the_last_sealed_segment(tmp_path: Path) -> None:
    directory = sealed_log(tmp_path, 5)
    scrub = Scrubber(directory, FAST)
    assert scrub.full_pass(Stop())
    state = read_state(directory)
    assert state == scrub.state
    assert (state.segments, state.passes, state.findings) == (5, 1, [])
    assert state.bytes > 0
    assert state.last_full_pass_us > 0


@pytest.mark.parametrize("which", [0, 2, 3, 4])
def test_a_flipped_bit_in_any_segment_is_located_told_once_and_kept(
    tmp_path: Path, which: int
) -> None:
    """The second-to-last one too, which other logs never look at again."""
    directory = sealed_log(tmp_path, 5)
    victim = sealed_paths(directory)[which]
    flip(victim, 100)
    before = victim.read_bytes()
    told: list[Finding] = []
    scrub = Scrubber(directory, FAST, told.append)
    scrub.full_pass(Stop())
    (finding,) = told
    assert (finding.segment, finding.offset, finding.position) == (victim.name, 76, which + 1)
    assert finding.code == "log-corrupt-frame"
    again = Scrubber(directory, FAST, told.append)  # after a restart too
    again.full_pass(Stop())
    assert told == [finding]
    assert [known.finding for known in again.state.findings] == told
    assert victim.read_bytes() == before
    flip(victim, 100)  # somebody put it right
    again.full_pass(Stop())
    assert again.state.findings == []


def test_every_byte_of_a_sealed_segment_is_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scrubber, "replace_file", lambda path, data: None)  # hundreds of fsyncs
    directory = sealed_log(tmp_path, 2)
    path = sealed_paths(directory)[0]
    for offset in range(path.stat().st_size):
        flip(path, offset)
        scrub = Scrubber(directory, FAST)
        scrub.full_pass(Stop())
        assert scrub.state.findings, f"byte {offset}"
        flip(path, offset)


def test_a_segment_that_is_missing_in_the_middle_is_found(tmp_path: Path) -> None:
    directory = sealed_log(tmp_path, 5)
    sealed_paths(directory)[2].unlink()
    scrub = Scrubber(directory, FAST)
    scrub.full_pass(Stop())
    (known,) = scrub.state.findings
    assert known.finding.code == "log-missing-segment"
    assert known.finding.position == 3


def test_a_segment_of_another_history_is_found(tmp_path: Path) -> None:
    directory, other = sealed_log(tmp_path / "a", 4), sealed_log(tmp_path / "b", 4)
    victim = sealed_paths(directory)[1]
    victim.chmod(0o600)
    victim.write_bytes((other / victim.name).read_bytes())
    scrub = Scrubber(directory, FAST)
    scrub.full_pass(Stop())
    assert {known.finding.code for known in scrub.state.findings} == {"log-corrupt-segment"}


def test_segments_that_go_to_an_archive_meanwhile_are_no_damage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = sealed_log(tmp_path, 5)
    first, second = sealed_paths(directory)[:2]
    real = scrubber.check_sealed

    def check(path: Path, *, records: bool) -> object:
        for gone in (first, second):
            gone.unlink(missing_ok=True)
        return real(path, records=records)

    monkeypatch.setattr(scrubber, "check_sealed", check)
    scrub = Scrubber(directory, FAST)
    scrub.full_pass(Stop())
    assert scrub.state.findings == []
    assert scrub.state.passes == 1


def test_a_restart_goes_on_where_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scrubber, "_SHORTEST_WAIT_S", 0.0)
    directory = sealed_log(tmp_path, 6)
    seen: list[str] = []
    real = scrubber.check_sealed

    def check(path: Path, *, records: bool) -> object:
        seen.append(path.name)
        return real(path, records=records)

    monkeypatch.setattr(scrubber, "check_sealed", check)
    for _ in range(20):
        if Scrubber(directory, 0.001).full_pass(Stop(after=1)):
            break
    names = [path.name for path in sealed_paths(directory)]
    assert list(dict.fromkeys(seen)) == names
    # What it was in when it stopped is read again, and nothing before that.
    assert seen == sorted(seen)
    assert len(seen) > len(names)


class Clock(Stop):
    """Time that passes only while the scrubber waits, and a processor that its work costs."""

    now_s = 1000.0
    spent_s = 0.0
    frame_costs_s = 0.0

    def wait(self, timeout: float) -> bool:
        self.now_s += timeout
        return super().wait(timeout)

    def monotonic(self) -> float:
        return self.now_s

    def thread_time(self) -> float:
        self.spent_s += self.frame_costs_s
        return self.spent_s

    def time_ns(self) -> int:
        return int(self.now_s * 1e9)


@pytest.mark.parametrize(("frame_costs_s", "expected_s"), [(0.0, 4.0), (0.1, 80.0)])
def test_neither_the_disk_nor_the_processor_is_used_more_than_allowed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, frame_costs_s: float, expected_s: float
) -> None:
    """40 frames of 50 kB at 0.5 MB/s; or each of them 0.1 s of a processor, of which 5 %."""
    directory = tmp_path / "log"
    with EventLog.open(directory, max_segment_bytes=300_000) as log:
        for _ in range(42):
            log.append_sync([batch("s", b"x" * 49_900)])
    assert len(sealed_paths(directory)) == 6
    clock = Clock()
    clock.frame_costs_s = frame_costs_s
    monkeypatch.setattr(scrubber, "time", clock)
    scrub = Scrubber(directory, 0.5)
    scrub.full_pass(clock)
    # 36 to 42 of the frames are in sealed segments, and what is not yet due is not waited for.
    assert expected_s * 0.85 <= clock.waited_s <= expected_s * 1.1


def test_a_thread_scrubs_beside_the_writer_until_it_is_closed(tmp_path: Path) -> None:
    directory = tmp_path / "log"
    with EventLog.open(directory, max_segment_bytes=600) as log:
        thread = ScrubberThread(Scrubber(directory, FAST, pause_s=0.0))
        for number in range(100):
            log.append_sync([batch("s", b"%d" % number)])

        def seen() -> bool:
            state = read_state(directory)
            return state is not None and state.segments > 30 and state.passes > 2

        wait_until(seen, 30, "a few passes")
        thread.close()
        state = read_state(directory)
        assert state is not None
        assert state.findings == []
    assert threading.active_count() < 20


def test_a_state_that_can_not_be_read_is_begun_anew(tmp_path: Path) -> None:
    directory = sealed_log(tmp_path, 2)
    (directory / STATE_FILE).write_bytes(b'{"next_base":')
    assert read_state(directory) is None
    scrub = Scrubber(directory, FAST)
    assert scrub.full_pass(Stop())
    assert scrub.state.segments == 2


def test_a_full_disk_does_not_end_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    directory = sealed_log(tmp_path, 2)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(scrubber, "replace_file", full)
    stop = Stop(after=3)
    scrub = Scrubber(directory, FAST)
    scrub.run(stop)
    assert scrub.state.findings == []
    assert stop.waited_s >= scrubber._RETRY_S
