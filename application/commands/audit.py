"""Recording what was read, before it is answered (ADR 0019)."""

from datetime import UTC, datetime
from typing import Any

import msgspec

from application.commands.unit_of_work import UnitOfWork
from domain.actors import Actor, ActorKind
from domain.audit import reading
from domain.errors import Forbidden


class RecordRead(msgspec.Struct, frozen=True, tag=True):
    """The actor is about to be shown something. Answer: `stream`."""

    what: str
    subject: str | None
    filters: dict[str, str]


def record_read(uow: UnitOfWork, command: RecordRead, actor: Actor) -> dict[str, Any]:
    """Agents of every role and an operator's exports, by reader and day (UTC)."""
    if actor.kind not in (ActorKind.AGENT, ActorKind.SYSTEM):
        raise Forbidden
    day = datetime.fromtimestamp(uow.now_us / 1e6, UTC).strftime("%Y%m%d")
    state = uow.load(reading.DECIDER, f"{actor.id}-{day}")
    events = reading.record(state, command.what, command.subject, command.filters)
    uow.stage(reading.DECIDER, state.id, events)
    return {"stream": reading.DECIDER.stream(state.id)}
