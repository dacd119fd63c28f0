"""Contacts, agents and API keys."""

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query

from application.commands.access import IssueApiKey, RevokeApiKey
from application.commands.agent import ChangeAgent, RegisterAgent, SetPassword
from application.commands.contact import UpdateContact
from application.queries.core import Principal
from domain.access.token import token_id
from domain.errors import AgentNotFound, ContactNotFound
from interfaces import shapes
from interfaces.http.authentication import ADMINS, EXAMINERS, READERS, STAFF, Access, allow
from interfaces.http.context import CommandsDep, min_position
from interfaces.http.dependencies import Deps
from interfaces.http.models import (
    ChangeAgentBody,
    CreateAgent,
    CreateApiKey,
    UpdateContactBody,
    page,
)

router = APIRouter(tags=["people"])
Admin = Annotated[Principal, Depends(allow(Access(ADMINS)))]
Examiner = Annotated[Principal, Depends(allow(Access(EXAMINERS)))]
Staff = Annotated[Principal, Depends(allow(Access(STAFF)))]
Reader = Annotated[Principal, Depends(allow(Access(READERS)))]
_MIN_POSITION = [Depends(min_position)]


@router.get("/contacts", dependencies=_MIN_POSITION)
async def list_contacts(
    principal: Reader,
    deps: Deps,
    q: Annotated[str | None, Query(max_length=500)] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: str | None = None,
) -> dict[str, Any]:
    """Contacts, newest first."""
    found = await deps.views.contacts(q, limit, cursor)
    return page([shapes.contact(row) for row in found.data], found.after_cursor)


@router.get("/contacts/{contact_id}", dependencies=_MIN_POSITION)
async def get_contact(contact_id: str, principal: Reader, deps: Deps) -> dict[str, Any]:
    """One contact."""
    row = await deps.views.contact(contact_id)
    if row is None:
        raise ContactNotFound(contact_id)
    return shapes.contact(row)


@router.patch("/contacts/{contact_id}")
async def update_contact(
    contact_id: str, body: UpdateContactBody, principal: Staff, deps: Deps, commands: CommandsDep
) -> dict[str, Any]:
    """Replace a contact's name and email."""
    command = UpdateContact(contact_id, body.name, body.email)
    receipt = await commands.execute(command, principal.actor)
    return {**receipt.result, "position": receipt.position}


@router.get("/agents", dependencies=_MIN_POSITION)
async def list_agents(principal: Reader, deps: Deps) -> dict[str, Any]:
    """All agents, by name."""
    return page([shapes.agent(row) for row in await deps.views.agents()], None)


@router.get("/agents/{agent_id}", dependencies=_MIN_POSITION)
async def get_agent(agent_id: str, principal: Reader, deps: Deps) -> dict[str, Any]:
    """One agent."""
    row = await deps.views.agent(agent_id)
    if row is None:
        raise AgentNotFound(agent_id)
    return shapes.agent(row)


@router.post("/agents", status_code=201)
async def create_agent(
    body: CreateAgent, principal: Admin, deps: Deps, commands: CommandsDep
) -> dict[str, Any]:
    """A new agent. Without a password a one-time one is made and returned, here and never again.

    The password can't be shown again, so Idempotency-Key has no effect; the email address is
    what a repeat collides with.
    """
    password = body.password or deps.ids.secret()[:20]
    hashed = await asyncio.to_thread(deps.passwords.hash, password)
    agent_id = deps.ids.new()
    command = RegisterAgent(
        agent_id, body.email, body.name, body.role, hashed, one_time=body.password is None
    )
    receipt = await commands.execute(command, principal.actor, once=False)
    answer: dict[str, Any] = {
        "id": agent_id,
        "email": body.email.strip().lower(),
        "name": body.name.strip(),
        "role": body.role.value,
        "active": True,
        "position": receipt.position,
    }
    if body.password is None:
        answer["one_time_password"] = password
    return answer


@router.patch("/agents/{agent_id}")
async def change_agent(
    agent_id: str, body: ChangeAgentBody, principal: Admin, deps: Deps, commands: CommandsDep
) -> dict[str, Any]:
    """Change name, role or whether the agent may log in."""
    command = ChangeAgent(agent_id, body.name, body.role, body.active)
    receipt = await commands.execute(command, principal.actor)
    deps.authenticator.forget_subject(agent_id)
    return {**receipt.result, "position": receipt.position}


@router.post("/agents/{agent_id}/password")
async def reset_password(
    agent_id: str, principal: Admin, deps: Deps, commands: CommandsDep
) -> dict[str, Any]:
    """Give an agent a one-time password, returned here and never again."""
    password = deps.ids.secret()[:20]
    hashed = await asyncio.to_thread(deps.passwords.hash, password)
    command = SetPassword(agent_id, hashed, one_time=True)
    await commands.execute(command, principal.actor, once=False)
    return {"agent_id": agent_id, "one_time_password": password}


@router.get("/api_keys", dependencies=_MIN_POSITION)
async def list_api_keys(principal: Examiner, deps: Deps) -> dict[str, Any]:
    """All API keys, without their secrets."""
    return page([shapes.api_key(row) for row in await deps.views.api_keys()], None)


@router.post("/api_keys", status_code=201)
async def create_api_key(
    body: CreateApiKey, principal: Admin, deps: Deps, commands: CommandsDep
) -> dict[str, Any]:
    """A new API key; its secret is returned here and never again."""
    secret = deps.ids.secret()
    command = IssueApiKey(token_id(secret), body.name, tuple(body.scopes))
    receipt = await commands.execute(command, principal.actor, once=False)
    return {
        "id": receipt.result["api_key_id"],
        "name": body.name.strip(),
        "scopes": [scope.value for scope in body.scopes],
        "token": secret,
        "position": receipt.position,
    }


@router.delete("/api_keys/{api_key_id}")
async def revoke_api_key(
    api_key_id: str, principal: Admin, deps: Deps, commands: CommandsDep
) -> dict[str, Any]:
    """The key opens nothing any more."""
    receipt = await commands.execute(RevokeApiKey(api_key_id), principal.actor)
    deps.authenticator.forget(api_key_id)
    return {"id": api_key_id, "position": receipt.position}
