"""One connection's view of the conversation list: the newest state of what changed, as fast as the
client takes it.
"""

from collections.abc import Callable
from typing import Final

MAX_WAITING: Final = 5_000
"""Changed conversations that wait for a slow client; beyond it the client must come back."""


class Inbox:
    """No I/O. A burst of changes waits here instead of counting as a client that is too slow; of a
    conversation that changes again meanwhile only the newest state is told.
    """

    __slots__ = ("_emit", "_has_room", "_waiting")

    def __init__(self, emit: Callable[[bytes], None], has_room: Callable[[], bool]) -> None:
        self._emit = emit
        self._has_room = has_room
        self._waiting: dict[str, bytes] = {}

    def changed(self, name: str, frame: bytes) -> bool:
        """The newest state of a conversation, or of another thing with a name of its own.

        Returns:
            False: too many are waiting.
        """
        if not self._waiting and self._has_room():
            self._emit(frame)
            return True
        self._waiting[name] = frame
        return len(self._waiting) <= MAX_WAITING

    def resume(self) -> None:
        """The connection has room again: tell what waits, first come first served."""
        while self._waiting and self._has_room():
            self._emit(self._waiting.pop(next(iter(self._waiting))))
