"""The bus of a process that is alone, and the counting that every bus does."""

from collections.abc import Collection

from application.ports.live_bus import LiveBusReceiver, LiveBusStats


class SubjectCounts:
    """Connections of this process by subject: one entry of a dict each, no object."""

    __slots__ = ("counts",)

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}

    def arrived(self, subject_id: str) -> int:
        """One more; how many now."""
        count = self.counts.get(subject_id, 0) + 1
        self.counts[subject_id] = count
        return count

    def left(self, subject_id: str) -> int:
        """One fewer; how many now."""
        count = self.counts.get(subject_id, 0) - 1
        if count > 0:
            self.counts[subject_id] = count
            return count
        self.counts.pop(subject_id, None)
        return 0

    def here(self, subject_id: str) -> int:
        """How many."""
        return self.counts.get(subject_id, 0)


class LocalBus:
    """As `LiveBus`, for one process: there is nobody else."""

    def __init__(self) -> None:
        self.stats = LiveBusStats()
        self._subjects = SubjectCounts()
        self.arrived = self._subjects.arrived
        self.left = self._subjects.left
        self.here = self._subjects.here

    async def open(self, receiver: LiveBusReceiver) -> None:
        """As `LiveBus.open`."""

    async def close(self) -> None:
        """As `LiveBus.close`."""

    def publish(self, topic: str, payload: bytes) -> None:
        """As `LiveBus.publish`."""

    def subscribe(self, topic: str) -> None:
        """As `LiveBus.subscribe`."""

    def unsubscribe(self, topic: str) -> None:
        """As `LiveBus.unsubscribe`."""

    async def online(self, subject_ids: Collection[str]) -> dict[str, int]:
        """As `LiveBus.online`."""
        return {id: self._subjects.here(id) for id in subject_ids}
