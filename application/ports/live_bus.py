"""Passing things between the processes that hold connections: typing, presence, who is where.

Nothing here is in the log, and nothing is promised to arrive (ADR 0014).
"""

from collections.abc import Collection
from typing import Final, Protocol

MAX_PAYLOAD_BYTES: Final = 64 * 1024
"""As a frame of `/ws`."""


class LiveBusStats:
    """Plain numbers that a metrics collector reads."""

    __slots__ = ("connected", "dropped", "peers", "published", "received")

    def __init__(self) -> None:
        self.published = 0
        """Payloads handed to a peer."""
        self.received = 0
        """Payloads of other processes for a topic that was subscribed to."""
        self.dropped = 0
        """Payloads that a full queue or a broken connection cost."""
        self.peers = 0
        """Servers of the cluster, or other processes of the machine, that are known."""
        self.connected = 0
        """How many of them are connected."""


class LiveBusReceiver(Protocol):
    """Who is told what other processes publish."""

    def received(self, topic: str, payload: bytes) -> None:
        """In the event loop; must not block or raise. A topic may have been unsubscribed."""


class LiveBus(Protocol):
    """All methods are called in one event loop; those without `async` never block or raise.

    Best effort: a payload is delivered at most once to each other process that is subscribed, in
    the order in which one process published it to one topic, or lost. After a fault the adapter
    finds its way back by itself and tells `stats`, metrics and, at a bounded rate, the log.
    """

    @property
    def stats(self) -> LiveBusStats:
        """Counts since the process began."""

    async def open(self, receiver: LiveBusReceiver) -> None:
        """Begin, in the background: peers that are down do not hold up a start."""

    async def close(self) -> None:
        """Stop; this process's presence is taken back where that is possible at once."""

    def publish(self, topic: str, payload: bytes) -> None:
        """Tell the other processes that subscribe to a topic; never this one.

        Args:
            topic: A conversation's id.
            payload: At most `MAX_PAYLOAD_BYTES`; a longer one is dropped and counted.
        """

    def subscribe(self, topic: str) -> None:
        """Be told of a topic; again and again is the same as once."""

    def unsubscribe(self, topic: str) -> None:
        """No more."""

    def arrived(self, subject_id: str) -> int:
        """A contact or agent has one more connection here; how many now."""

    def left(self, subject_id: str) -> int:
        """It has one fewer; how many are left here."""

    def here(self, subject_id: str) -> int:
        """How many connections it has in this process."""

    async def online(self, subject_ids: Collection[str]) -> dict[str, int]:
        """Connections by subject, over all processes, at most a few seconds old.

        A killed process's connections are counted for at most 30 s.

        Args:
            subject_ids: At most 1,000.

        Returns:
            0: nowhere. A subject that is not here and cannot be asked for now is left out.
        """
