"""Log-in, log-out, the own account."""

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request

from application.commands.access import EndSession, StartAgentSession
from application.commands.agent import SetPassword
from application.ports.core import Request as CoreRequest
from application.queries.core import Credentials, FindCredentials, Principal
from domain.access.token import token_id
from domain.actors import SYSTEM
from domain.errors import InvalidCredentials
from interfaces.http.authentication import READERS, Access, allow, public
from interfaces.http.context import CommandsDep
from interfaces.http.dependencies import Deps, WebDependencies
from interfaces.http.models import AgentAnswer, ChangePassword, Login, LoginAnswer
from interfaces.http.network import client_address

router = APIRouter(prefix="/auth", tags=["auth"])
Reader = Annotated[Principal, Depends(allow(Access(READERS)))]
Own = Annotated[Principal, Depends(allow(Access(READERS, own=True)))]


@router.post("/login", response_model=LoginAnswer, dependencies=[Depends(public)])
async def login(body: Login, request: Request, deps: Deps) -> dict[str, Any]:
    """Log in with email and password; rate-limited for the email and for the address."""
    limits = request.app.state.limits
    limits.login.take("address:" + client_address(request))
    limits.login.take("email:" + body.email.strip().lower())
    found: Credentials | None = await deps.core.query(FindCredentials(body.email))
    stored = found.password_hash if found is not None else deps.passwords.decoy()
    matches = await asyncio.to_thread(deps.passwords.verify, stored, body.password)
    if found is None or not matches or not found.active:
        raise InvalidCredentials
    secret = deps.ids.secret()
    expires_us = deps.clock.now_us() + int(deps.settings.agent_session_h * 3600e6)
    session = StartAgentSession(token_id(secret), expires_us, found.agent_id)
    await deps.core.execute(CoreRequest(session, SYSTEM, request.state.correlation_id))
    return {
        "token": secret,
        "agent": {
            "id": found.agent_id,
            "name": found.name,
            "email": found.email,
            "role": found.role.value,
        },
        "must_change_password": found.must_change_password,
    }


@router.post("/logout", status_code=204)
async def logout(principal: Reader, deps: Deps, commands: CommandsDep) -> None:
    """End this session."""
    await commands.execute(EndSession(principal.token_id), principal.actor, once=False)
    deps.authenticator.forget(principal.token_id)


@router.get("/me", response_model=AgentAnswer)
async def me(principal: Own) -> dict[str, Any]:
    """Who this session belongs to."""
    actor = principal.actor
    role = actor.role.value if actor.role else None
    return {"id": actor.id, "name": actor.name, "email": principal.email, "role": role}


@router.post("/password", status_code=204)
async def change_password(
    body: ChangePassword, principal: Reader, request: Request, deps: Deps, commands: CommandsDep
) -> None:
    """Change the own password."""
    request.app.state.limits.login.take("email:" + (principal.email or ""))
    await _require_password(deps, principal, body.current)
    hashed = await asyncio.to_thread(deps.passwords.hash, body.new)
    await commands.execute(
        SetPassword(principal.actor.id, hashed, one_time=False), principal.actor, once=False
    )
    deps.authenticator.forget_subject(principal.actor.id)


async def _require_password(deps: WebDependencies, principal: Principal, password: str) -> None:
    found: Credentials | None = await deps.core.query(FindCredentials(principal.email or ""))
    stored = found.password_hash if found is not None else deps.passwords.decoy()
    if not await asyncio.to_thread(deps.passwords.verify, stored, password) or found is None:
        raise InvalidCredentials
