"""Sagas: which there are, how far each is, and what a person decides about a parked one."""

from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Query

from application.commands.saga import OperateSaga
from application.ports.event_store import RecordedEvent
from application.ports.refund_views import SagaFilter
from application.queries.core import Principal
from application.queries.saga_life import saga_life
from application.queries.streams import CoreStreams
from application.sagas.all import definitions
from domain.saga.state import Status
from interfaces import refund_shapes
from interfaces.http.authentication import READERS, STAFF, Access, allow
from interfaces.http.context import CommandsDep, min_position
from interfaces.http.dependencies import Deps
from interfaces.http.models import page
from interfaces.http.refund_models import (
    DefinitionList,
    SagaActed,
    SagaActionBody,
    SagaList,
    WholeSaga,
)

router = APIRouter(prefix="/sagas", tags=["sagas"])
Staff = Annotated[Principal, Depends(allow(Access(STAFF)))]
Reader = Annotated[Principal, Depends(allow(Access(READERS)))]
_DEFINITIONS: Final = definitions()
"""Steps and their kinds; timing, which settings change, shows in the events."""


@router.get("", response_model=SagaList, dependencies=[Depends(min_position)])
async def list_sagas(
    principal: Reader,
    deps: Deps,
    status: Status | None = None,
    definition: str | None = None,
    older_than_s: Annotated[int | None, Query(ge=0, le=10**10)] = None,
    conversation_id: str | None = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: str | None = None,
) -> dict[str, Any]:
    """Sagas, oldest first."""
    now_us = deps.clock.now_us()
    until_us = None if older_than_s is None else now_us - older_than_s * 1_000_000
    wanted = SagaFilter(status, definition, conversation_id, until_us)
    found = await deps.views.sagas(wanted, limit, cursor)
    return page([refund_shapes.saga(row, now_us) for row in found.data], found.after_cursor)


@router.get("/definitions", response_model=DefinitionList)
async def list_definitions(principal: Reader) -> dict[str, Any]:
    """What sagas are made of, with their graphs of states."""
    return page([refund_shapes.definition(one) for one in _DEFINITIONS], None)


@router.get("/{saga_id}", response_model=WholeSaga)
async def get_saga(saga_id: str, principal: Reader, deps: Deps) -> dict[str, Any]:
    """One saga with its steps and everything that has happened to it, straight from the log."""
    found = await saga_life(CoreStreams(deps.core), deps.opener, saga_id)

    def data(recorded: RecordedEvent) -> dict[str, Any]:
        return deps.opener.fields(recorded).fields

    return refund_shapes.whole_saga(found, _DEFINITIONS, deps.clock.now_us(), data)


@router.post("/{saga_id}/actions", response_model=SagaActed)
async def act(
    saga_id: str, body: SagaActionBody, principal: Staff, commands: CommandsDep
) -> dict[str, Any]:
    """Decide about a parked saga; agents may say `retry`, administrators all."""
    command = OperateSaga(saga_id, body.action, body.reason, body.reference)
    receipt = await commands.execute(command, principal.actor)
    return {**receipt.result, "position": receipt.position}
