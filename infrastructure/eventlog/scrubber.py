"""The scrubber: reads every sealed segment again and again, slowly, before somebody needs it.

It checks every frame, footer, content hash and the chain, and never changes an event. Where it is
and what it found stands in the file `scrub.json` beside the segments, from which any process may
show it; a restart goes on from there. The measurement that led to a thread in the writer's
process rather than a process of its own is in benchmarks/RESULTS.md.
"""

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, Protocol

import msgspec

from infrastructure.eventlog.checking import check_sealed
from infrastructure.eventlog.copying import forget_cached
from infrastructure.eventlog.errors import CorruptLog
from infrastructure.eventlog.salvage import Finding, finding_of
from infrastructure.eventlog.sealing import replace_file
from infrastructure.eventlog.segment import Segment, check_link, list_segments

STATE_FILE: Final = "scrub.json"
PAUSE_S: Final = 600.0
"""Between passes: a small log need not be read all the time."""
_SAVE_S: Final = 5.0
_RETRY_S: Final = 60.0
_LONGEST_LEAP_S: Final = 0.25
_SHORTEST_WAIT_S: Final = 0.01
_PROCESSOR_SHARE: Final = 0.05
"""Of one processor, at most: frames of one event each take 25 times as long, byte for byte, as
full ones, and this thread shares the interpreter with the writer."""


class ScrubFinding(msgspec.Struct, frozen=True):
    """Something that the scrubber found and that was still so when it last looked."""

    checked: int
    """Base position of the segment that was being checked."""
    found_us: int
    """When, in us since 1970."""
    finding: Finding


class ScrubState(msgspec.Struct):
    """Where the scrubber is and what it has seen over all its life."""

    next_base: int = 0
    """Segments that begin before this position are done in this pass."""
    bytes: int = 0
    segments: int = 0
    passes: int = 0
    last_full_pass_us: int = 0
    """End of the last pass over all sealed segments, in us since 1970; 0: none yet."""
    findings: list[ScrubFinding] = []


class Stop(Protocol):
    """Of `threading.Event`, what the scrubber needs."""

    def wait(self, timeout: float) -> bool:
        """Whether to stop, after this time in s or as soon as it is so."""
        ...


class Scrubber:
    """Walks over the sealed segments of a log."""

    def __init__(
        self,
        directory: Path,
        mb_per_s: float,
        found: Callable[[Finding], object] = lambda finding: None,
        pause_s: float = PAUSE_S,
    ) -> None:
        """
        Args:
            directory: Of the log.
            mb_per_s: Bytes read a second at most, in 1,000,000.
            found: Is told every finding once, when it is new.
            pause_s: Between two passes.
        """
        self._directory = directory
        self._bytes_per_s = mb_per_s * 1e6
        self._found = found
        self._pause_s = pause_s
        self._due = 0.0
        self._spent = 0.0
        self._saved_at = 0.0
        self.state = read_state(directory) or ScrubState()

    def run(self, stop: Stop) -> None:
        """Pass after pass until it is told to stop."""
        delay = 0.0
        while not stop.wait(delay):
            try:
                delay = self._pause_s if self.full_pass(stop) else 0.0
            except OSError:
                delay = _RETRY_S  # no descriptors, or no space for its state: nothing was found

    def full_pass(self, stop: Stop) -> bool:
        """Go on from where the last one stopped, to the last sealed segment.

        Returns:
            False: it was told to stop.
        """
        while segments := self._left():
            if not self._segment(segments, stop):
                self._save()
                return False
        state = self.state
        known = {segment.base_position for segment in list_segments(self._directory)}
        state.findings = [finding for finding in state.findings if finding.checked in known]
        state.next_base, state.passes = 0, state.passes + 1
        state.last_full_pass_us = time.time_ns() // 1000
        self._save()
        return True

    def _left(self) -> list[Segment]:
        """What this pass has not seen, beginning with a sealed segment if there is one.

        Listed anew for every segment: some are sealed meanwhile, some go to the archive.
        """
        left = list_segments(self._directory)
        while left and (left[0].base_position < self.state.next_base or not left[0].sealed):
            left.pop(0)
        return left

    def _segment(self, segments: list[Segment], stop: Stop) -> bool:
        segment, state = segments[0], self.state
        try:
            fresh = self._check(segments, stop)
        except _Stopped:
            return False
        before = [known for known in state.findings if known.checked == segment.base_position]
        told = [known.finding for known in before]
        new = [finding for finding in fresh if finding not in told]
        kept = [known for known in before if known.finding in fresh]
        if new or before != kept:
            now = time.time_ns() // 1000
            kept += [ScrubFinding(segment.base_position, now, finding) for finding in new]
            others = [known for known in state.findings if known.checked != segment.base_position]
            state.findings = others + kept
        state.next_base = segment.base_position + 1
        state.segments += 1
        for finding in new:
            self._found(finding)
        if new or time.monotonic() - self._saved_at >= _SAVE_S:
            self._save()
        return True

    def _check(self, segments: list[Segment], stop: Stop) -> list[Finding]:
        """What is wrong with the first of the segments, and with the step to the second."""
        segment = segments[0]
        found: list[Finding] = []
        try:
            _forget_cached(segment.path)
            self._spent = time.thread_time()
            for frame in check_sealed(segment.path, records=False):
                self._spend(frame.header.length, stop)
        except CorruptLog as error:
            found.append(finding_of(error))
        except FileNotFoundError:
            return []  # it went to the archive meanwhile
        try:
            if len(segments) > 1:
                check_link(segment.path, segments[1].path)
        except CorruptLog as error:
            if finding_of(error) not in found:
                found.append(finding_of(error))
        except FileNotFoundError:
            return found
        return found

    def _spend(self, size: int, stop: Stop) -> None:
        """Wait as long as the limits on bytes and on processor time ask."""
        self.state.bytes += size
        spent = time.thread_time()
        cost = max(size / self._bytes_per_s, (spent - self._spent) / _PROCESSOR_SHARE)
        self._spent = spent
        now = time.monotonic()
        # What it was slower before does not let it hurry now.
        self._due = max(self._due, now - _LONGEST_LEAP_S) + cost
        if self._due - now >= _SHORTEST_WAIT_S and stop.wait(self._due - now):
            raise _Stopped

    def _save(self) -> None:
        self._saved_at = time.monotonic()
        replace_file(self._directory / STATE_FILE, msgspec.json.encode(self.state))


class ScrubberThread:
    """A scrubber in a thread of its own, until it is closed."""

    def __init__(self, scrubber: Scrubber) -> None:
        self._stop = threading.Event()
        self._thread = threading.Thread(
            target=scrubber.run, args=(self._stop,), name="log-scrubber", daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """Stop; the next start goes on with the segment that it is in."""
        self._stop.set()
        self._thread.join()


def read_state(directory: Path) -> ScrubState | None:
    """What the scrubber of a log, in whatever process, wrote last; None: nothing yet."""
    try:
        data = (directory / STATE_FILE).read_bytes()
        return msgspec.json.decode(data, type=ScrubState)
    except (FileNotFoundError, msgspec.DecodeError):
        return None  # it is only a cursor: a full pass finds everything again


class _Stopped(Exception):
    """It was told to stop within a segment."""


def _forget_cached(path: Path) -> None:
    """Let the bytes come from the disk: the page cache may hold what the disk has lost since."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        forget_cached(fd)
    finally:
        os.close(fd)
