"""Sessions of visitors."""

import hashlib
import hmac
from typing import Any

from fastapi import APIRouter, Depends, Request

from application.commands.access import StartVisitorSession
from application.ports.core import Request as CoreRequest
from application.queries.core import Principal
from domain.access.token import token_id
from domain.actors import SYSTEM, ActorKind
from domain.contact.contact import contact_id as contact_id_of
from domain.errors import Forbidden, InvalidInput, Unauthenticated
from domain.text import clean_line
from interfaces.gateway import handshake
from interfaces.http.authentication import authenticated, bearer, public
from interfaces.http.dependencies import Deps, WebDependencies
from interfaces.http.models import ContactClaim, SessionAnswer, StartSession
from interfaces.http.network import client_address

router = APIRouter(prefix="/widget", tags=["widget"])


class InvalidIdentity(Unauthenticated):
    """The signature of an identifier does not fit it."""

    code = "invalid-identity"


@router.post(
    "/sessions", status_code=201, response_model=SessionAnswer, dependencies=[Depends(public)]
)
async def start_session(
    request: Request, deps: Deps, body: StartSession | None = None
) -> dict[str, Any]:
    """Start a visitor's session; rate-limited for the address.

    The token is nowhere stored in clear, so a repeat makes another session: Idempotency-Key has
    no effect here. An identifier without its `identifier_hash` is a claim: the contact is the
    same, but no older conversation is shown to whoever claims it (ADR 0004).
    """
    request.app.state.limits.sessions.take(client_address(request))
    body = body or StartSession()
    secret = deps.ids.secret()
    command = await _command(deps, request, body, token_id(secret))
    receipt = await deps.core.execute(CoreRequest(command, SYSTEM, request.state.correlation_id))
    base = request.base_url
    scheme = "wss" if base.scheme == "https" else "ws"
    url = base.replace(scheme=scheme, path=base.path.rstrip("/") + handshake.PATH)
    return {"token": secret, **receipt.result, "ws_url": str(url)}


async def _command(
    deps: WebDependencies, request: Request, body: StartSession, token: str
) -> StartVisitorSession:
    expires_us = deps.clock.now_us() + int(deps.settings.visitor_session_d * 86400e6)
    if body.new_conversation:
        visitor = await _visitor(request)
        return StartVisitorSession(
            token,
            expires_us,
            visitor.actor.id,
            deps.ids.new(),
            previous_conversation_id=visitor.actor.conversation_id,
        )
    claim = body.contact or ContactClaim()
    verified = _is_verified(deps, claim)
    identifier = clean_line(claim.identifier, "identifier") if claim.identifier else None
    return StartVisitorSession(
        token,
        expires_us,
        contact_id_of(identifier) if identifier else deps.ids.new(),
        deps.ids.new(),
        identifier=identifier,
        name=claim.name,
        email=claim.email,
        identity_verified=verified,
    )


def _is_verified(deps: WebDependencies, claim: ContactClaim) -> bool:
    if claim.identifier_hash is None:
        return False
    if claim.identifier is None:
        raise InvalidInput("identifier_hash needs its identifier.", "contact/identifier")
    expected = hmac.new(deps.widget_secret, claim.identifier.encode(), hashlib.sha256)
    given = claim.identifier_hash.lower().encode("utf-8", "replace")
    if not hmac.compare_digest(expected.hexdigest().encode(), given):
        raise InvalidIdentity("identifier_hash does not fit the identifier and widget secret.")
    return True


async def _visitor(request: Request) -> Principal:
    if bearer(request) is None:
        raise Unauthenticated("new_conversation needs the visitor's own token.")
    principal = await authenticated(request)
    if principal.actor.kind is not ActorKind.VISITOR:
        raise Forbidden("new_conversation is for visitors.")
    return principal
