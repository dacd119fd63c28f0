"""Groups to disk, one after the other: write, fdatasync, publish the watermark, acknowledge.

A full disk refuses appends until there is space; any other failure to write ends appending for
good, because nobody knows what is on disk (https://wiki.postgresql.org/wiki/Fsync_Errors).
"""

import threading
import time
from collections.abc import Callable
from pathlib import Path
from queue import SimpleQueue

from application.ports.event_store import StoreReadOnly
from infrastructure.eventlog.active import ActiveSegment
from infrastructure.eventlog.disk import DiskFull
from infrastructure.eventlog.group import Group
from infrastructure.eventlog.stats import LogStats
from infrastructure.eventlog.tail import StreamTail
from infrastructure.eventlog.watermark import Watermark, WatermarkWriter


class Committer:
    """Owns the active segment and the watermark.

    Args:
        directory: Of the log.
        active: Where groups go.
        last_position: The last one in the log.
        tail: Told of what is durable.
        stats: Told of each group.
        finished: Called behind each group, in whatever thread.
        failed: Called once, when the log takes no more events for good.
    """

    def __init__(
        self,
        directory: Path,
        active: ActiveSegment,
        last_position: int,
        tail: StreamTail,
        stats: LogStats,
        *,
        finished: Callable[[], None],
        failed: Callable[[str], None],
    ) -> None:
        self.active = active
        self.flight: Group | None = None
        """On its way to the disk."""
        self.failed: str | None = None
        """Why the log takes no more events, for good."""
        self.full: str | None = None
        """Why it takes none until there is space."""
        self._tail = tail
        self._stats = stats
        self._finished = finished
        self._on_failure = failed
        self._watermark = WatermarkWriter(directory)
        self._idle = threading.Event()
        self._idle.set()
        self._groups: SimpleQueue[Group | None] = SimpleQueue()
        self.publish(last_position)
        self._thread = threading.Thread(target=self._run, name="log-committer", daemon=True)
        self._thread.start()

    def publish(self, position: int) -> None:
        """Let readers see everything up to a position, which is on disk."""
        self.durable = Watermark(position, self.active.base_position, self.active.end)
        self._watermark.publish(self.durable)

    def start(self, group: Group) -> None:
        """Commit it in the committer's thread; only when none is in flight."""
        self._take_off(group)
        self._groups.put(group)

    def commit(self, group: Group) -> None:
        """Commit it here and now; only when none is in flight."""
        self._take_off(group)
        self._commit(group)

    def wait_idle(self) -> None:
        """Return when no group is in flight."""
        self._idle.wait()

    def fail(self, error: Exception) -> StoreReadOnly:
        """From now on the log is read-only: what is on disk is no longer certain."""
        if self.failed is None:
            self.failed = (
                f"the log is read-only after a failed write: {type(error).__name__}: {error}"
            )
        self._on_failure(self.failed)
        return StoreReadOnly(self.failed)

    def close(self) -> None:
        """Wait for the group in flight, release files."""
        self._groups.put(None)
        self._thread.join()
        try:
            self.active.close()
        finally:
            self._watermark.close()

    def _take_off(self, group: Group) -> None:
        self._idle.clear()
        self.flight = group

    def _run(self) -> None:
        while (group := self._groups.get()) is not None:
            self._commit(group)

    def _commit(self, group: Group) -> None:
        refusal: Exception | None = None
        try:
            self._write(group)
        except DiskFull as error:
            self.full = f"no space for more events ({error.strerror}); free some and send it again"
            refusal = StoreReadOnly(self.full)
        except StoreReadOnly as error:
            refusal = error
        except Exception as error:  # noqa: BLE001 - this thread must live to refuse callers
            refusal = self.fail(error)
        self.flight = None
        self._idle.set()
        self._finished()  # before the answers: the next group need not wait for them
        if refusal is None:
            group.answer()
        else:
            group.refuse(refusal)

    def _write(self, group: Group) -> None:
        """Whatever is raised, nothing of the group was acknowledged."""
        if self.failed is not None:
            raise StoreReadOnly(self.failed)
        if group.base_position != self.durable.position + 1:
            # It was decided on a group that found no space.
            raise StoreReadOnly(self.full or "the group before it failed; send it again")
        frames = group.frames()
        if not frames:
            return
        active = self.active
        offset = before = active.end
        began = time.perf_counter()
        active.append([frame.data for frame in frames], group.timestamp_us)
        seconds = time.perf_counter() - began
        self.full = None
        for frame in frames:
            self._tail.add(active.base_position, offset, frame)
            active.count(offset, group.timestamp_us, frame)
            offset += len(frame.data)
        self.publish(group.next_position - 1)
        self._stats.committed(group.events, offset - before, len(frames), seconds)
