"""One client's subscription to one conversation: replay, then live, each message once, in order."""

from collections.abc import Callable
from typing import Final

MAX_BUFFERED: Final = 5_000
"""Live messages kept during a replay; beyond it the client must subscribe again."""


class Subscription:
    """No I/O: pages of the replay and live messages go in, frames come out of `emit`.

    It is registered for live messages before the replay begins, so nothing falls between: live
    messages wait in a buffer, and those that the replay has shown already are dropped.
    """

    __slots__ = ("_buffer", "_emit", "conversation_id", "last_seq", "live", "staff")

    def __init__(
        self, conversation_id: str, after_seq: int, emit: Callable[[bytes], None], *, staff: bool
    ) -> None:
        self.conversation_id = conversation_id
        self.last_seq = after_seq
        """The highest seq that was emitted, or that the client said it has."""
        self.staff = staff
        """Private notes are shown."""
        self.live = False
        self._emit = emit
        self._buffer: list[tuple[int, bytes]] | None = []

    def replayed(self, seq: int, frame: bytes) -> None:
        """A message of the replay."""
        if seq > self.last_seq:
            self.last_seq = seq
            self._emit(frame)

    def message(self, seq: int, frame: bytes) -> bool:
        """A live message.

        Returns:
            False: too many are waiting for the replay to end.
        """
        if self._buffer is not None:
            self._buffer.append((seq, frame))
            return len(self._buffer) <= MAX_BUFFERED
        self.replayed(seq, frame)
        return True

    def other(self, frame: bytes) -> None:
        """A live frame that has no place in the sequence: an edit, a cursor, typing."""
        if self._buffer is not None:
            self._buffer.append((0, frame))
        else:
            self._emit(frame)

    def finish_replay(self) -> None:
        """The replay is over; what waited comes now, then everything as it happens."""
        waiting, self._buffer = self._buffer or [], None
        self.live = True
        for seq, frame in waiting:
            if seq == 0:
                self._emit(frame)
            else:
                self.replayed(seq, frame)
