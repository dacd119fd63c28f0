"""A message's stations: done, waiting or unknown, each with a time or the reason for none."""

from typing import Any

import pytest

from application.commands.conversation import MoveDeliveryCursor, MoveReadCursor
from application.commands.message import SendMessage
from application.ports.views import Projection
from application.queries.streams import CoreStreams
from application.queries.trace import Gap, MessageTrace, State, Station, Stop, trace
from application.sealing import IN_CLEAR
from domain.errors import MessageNotFound
from tests.application.conftest import Driver

BEHIND = Projection(0)


async def traced(driver: Driver, id: str, views: Projection | str = BEHIND) -> MessageTrace:
    return await trace(CoreStreams(driver.bus), IN_CLEAR, id, views)


def stops(found: MessageTrace, station: Station) -> list[Stop]:
    return [stop for stop in found.stops if stop.station is station]


async def say(driver: Driver, conversation: str, text: str, actor: Any, **more: Any) -> str:
    sent = await driver.execute(SendMessage(conversation, text, text, **more), actor)
    return str(sent.result["message_id"])


async def test_readers_are_told_apart_and_the_author_is_none(driver: Driver) -> None:
    agent, second, visitor = await driver.agent(), await driver.agent(), await driver.visitor()
    id = visitor.conversation_id or ""
    await say(driver, id, "before", visitor)
    first = await driver.execute(MoveReadCursor(id, 1), agent)
    message = await say(driver, id, "this one", visitor)
    await say(driver, id, "after", visitor)
    await driver.execute(MoveDeliveryCursor(id, 3), visitor)
    read = await driver.execute(MoveReadCursor(id, 3), agent)
    await driver.execute(MoveDeliveryCursor(id, 2), second)
    found = await traced(driver, message)
    assert (found.seq, found.accepted_position) == (2, found.recorded.position - 1)
    assert read.position > found.recorded.position > first.position
    by_agent, by_second = stops(found, Station.READ)
    assert (by_agent.state, by_agent.position) == (State.DONE, read.position)
    assert by_agent.reader is not None
    assert (by_agent.reader.id, by_agent.reader.name) == (agent.id, agent.name)
    assert (by_second.state, by_second.gap) == (State.WAITING, Gap.NOBODY_YET)
    at_agent, at_second = stops(found, Station.DELIVERED)
    assert (at_agent.at_us, at_agent.not_after_us) == (None, by_agent.at_us)
    assert at_second.at_us is not None
    assert [stop.not_after_us for stop in stops(found, Station.PUSHED)] == [
        by_agent.at_us,
        at_second.at_us,
    ]


async def test_what_nobody_has_seen_is_waiting_and_its_push_unknown(driver: Driver) -> None:
    visitor = await driver.visitor()
    found = await traced(driver, await say(driver, visitor.conversation_id or "", "hi", visitor))
    states = {stop.station: (stop.state, stop.gap) for stop in found.stops}
    assert states == {
        Station.RECEIVED: (State.DONE, Gap.NOT_STORED),
        Station.DECIDED: (State.DONE, None),
        Station.ON_DISK: (State.DONE, Gap.NOT_STORED),
        Station.PROJECTED: (State.WAITING, Gap.BEHIND),
        Station.PUSHED: (State.UNKNOWN, Gap.NO_EVIDENCE),
        Station.DELIVERED: (State.WAITING, Gap.NOBODY_YET),
        Station.READ: (State.WAITING, Gap.NOBODY_YET),
        Station.MIRRORED: (State.NOT_CONFIGURED, Gap.NOT_CONFIGURED),
    }


@pytest.mark.parametrize(
    ("views", "state", "gap", "at_us"),
    [
        (Projection(10**9, committed_us=7), State.DONE, None, 7),
        (Projection(10**9), State.DONE, Gap.NO_BATCH, None),
        (Projection(10**9, 7, "KeyError: x"), State.FAILED, Gap.PARKED, None),
        (Projection(1), State.WAITING, Gap.BEHIND, None),
        ("no answer", State.UNKNOWN, Gap.VIEWS_DOWN, None),
    ],
)
async def test_the_views_have_a_time_or_a_reason(
    driver: Driver, views: Any, state: State, gap: Gap | None, at_us: int | None
) -> None:
    visitor = await driver.visitor()
    message = await say(driver, visitor.conversation_id or "", "hi", visitor)
    (stop,) = stops(await traced(driver, message, views), Station.PROJECTED)
    assert (stop.state, stop.gap, stop.at_us) == (state, gap, at_us)


async def test_a_message_that_was_never_sent_has_no_trace(driver: Driver) -> None:
    with pytest.raises(MessageNotFound):
        await traced(driver, "none")
