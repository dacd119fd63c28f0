"""What one command asks of the store."""

from typing import Any

import pytest

from application.commands.conversation import MoveReadCursor
from application.commands.message import SendMessage
from domain.errors import ConversationNotFound
from tests.application.conftest import Driver


class CountingReads:
    """Counts look-ups of streams on their way to the log."""

    def __init__(self, log: Any) -> None:
        self.streams: list[str] = []
        self._log = log

    def __getattr__(self, name: str) -> Any:
        return getattr(self._log, name)

    def read_stream(self, stream: str, *args: Any, **kwargs: Any) -> Any:
        self.streams.append(stream)
        return self._log.read_stream(stream, *args, **kwargs)

    def absent(self, streams: Any) -> Any:
        self.streams += streams
        return self._log.absent(streams)


async def test_a_new_message_is_looked_up_once(driver: Driver) -> None:
    """It is loaded to find a retry and staged to be sent; the index is asked for it once."""
    visitor = await driver.visitor()
    counting = CountingReads(driver.log)
    driver.bus._store = counting
    await driver.execute(SendMessage(visitor.conversation_id or "", "r", "hi"), visitor)
    messages = [stream for stream in counting.streams if stream.startswith("message-")]
    assert len(messages) == 1


async def test_what_one_command_did_not_find_the_next_one_looks_for_again(driver: Driver) -> None:
    agent = await driver.agent()
    move = MoveReadCursor("late", 0)
    with pytest.raises(ConversationNotFound):
        await driver.execute(move, agent)
    await driver.visitor(conversation_id="late")
    await driver.execute(move, agent)
