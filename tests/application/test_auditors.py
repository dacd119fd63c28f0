"""An auditor reads everything and writes nothing: refused by the bus, whatever a handler says."""

from typing import Any, Union, get_args, get_origin

import msgspec
import pytest

from application.commands.access import EndSession, StartAgentSession
from application.commands.agent import SetPassword
from application.commands.audit import RecordRead
from application.commands.registry import AUDITOR_COMMANDS, HANDLERS
from application.ports.core import Command
from domain.actors import Role
from domain.audit.events import AuditRead
from domain.errors import Forbidden, InvalidInput
from tests.application.conftest import Driver

MAY = {"EndSession", "SetPassword", "RecordRead"}
"""Its own session, its own password, what it has read. Nobody adds to this by accident."""


def made_up(kind: Any) -> Any:
    """Some value of a field's type."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Union or (arguments and type(None) in arguments):
        return made_up(next(one for one in arguments if one is not type(None)))
    if origin is not None:
        return origin()
    if isinstance(kind, type) and issubclass(kind, str) and kind is not str:
        return next(iter(kind))  # type: ignore[call-overload]  # an enum
    return "x" if kind is str else kind(1)


def sample(command: type) -> Any:
    return command(**{field.name: made_up(field.type) for field in msgspec.structs.fields(command)})


@pytest.mark.parametrize("command", HANDLERS, ids=lambda c: c.__name__)
async def test_an_auditor_can_send_no_command_that_changes_something(
    driver: Driver, command: type
) -> None:
    auditor = await driver.agent(Role.AUDITOR)
    before = driver.log.durable_position
    if command.__name__ in MAY:
        assert command in AUDITOR_COMMANDS
        return
    with pytest.raises(Forbidden, match="reads everything and writes nothing"):
        await driver.execute(sample(command), auditor)
    assert driver.log.durable_position == before


def test_every_command_has_a_handler_and_so_is_walked_over() -> None:
    assert set(get_args(Command)) == HANDLERS.keys()
    assert {command.__name__ for command in AUDITOR_COMMANDS} == MAY


async def test_what_it_may_send_is_about_itself_alone(driver: Driver) -> None:
    auditor, other = await driver.agent(Role.AUDITOR), await driver.agent()
    session = StartAgentSession("token-of-other", driver.clock.us + 10**12, other.id)
    await driver.execute(session)
    before = driver.log.durable_position
    for command in (SetPassword(other.id, "hash", False), EndSession("token-of-other")):
        with pytest.raises(Forbidden):
            await driver.execute(command, auditor)
    assert driver.log.durable_position == before
    await driver.execute(SetPassword(auditor.id, "hash", False), auditor)


async def test_a_read_is_an_event_in_the_readers_stream_of_that_day(driver: Driver) -> None:
    auditor = await driver.agent(Role.AUDITOR)
    read = RecordRead("conversations/history", "conv-1", {"as_of": "7"})
    first = await driver.execute(read, auditor)
    driver.clock.us += 24 * 3600 * 1_000_000
    second = await driver.execute(read, auditor)
    assert first.result == {"stream": f"audit-{auditor.id}-20231114"}
    assert second.result == {"stream": f"audit-{auditor.id}-20231115"}
    (recorded,) = driver.log.read_stream(first.result["stream"])
    expected = AuditRead("conversations/history", "conv-1", {"as_of": "7"})
    assert msgspec.json.decode(recorded.payload, type=AuditRead) == expected
    assert msgspec.json.decode(recorded.metadata)["actorId"] == auditor.id


async def test_visitors_and_keys_record_no_reads_and_filters_have_a_limit(driver: Driver) -> None:
    with pytest.raises(Forbidden):
        await driver.execute(RecordRead("x", None, {}), await driver.visitor())
    auditor = await driver.agent(Role.AUDITOR)
    for filters in ({"a": "x" * 501}, {str(n): "" for n in range(21)}):
        with pytest.raises(InvalidInput):
            await driver.execute(RecordRead("x", None, filters), auditor)
