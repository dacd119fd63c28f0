"""Erasing a contact, its certificate, legal holds."""

from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Depends

from application.commands.privacy import EraseContact, LiftLegalHold, PlaceLegalHold
from application.ports.erasure import SignedCertificate
from application.queries.core import ConversationAsOf, ErasureOf, Principal
from domain.actors import Role, Scope
from interfaces import shapes
from interfaces.http.authentication import ADMINS, Access, allow
from interfaces.http.context import CommandsDep
from interfaces.http.dependencies import Deps
from interfaces.http.models import Conversation, EraseBody, ErasureAnswer, LegalHoldBody

router = APIRouter(tags=["privacy"])
Admin = Annotated[Principal, Depends(allow(Access(ADMINS)))]
Eraser = Annotated[Principal, Depends(allow(Access(ADMINS, scope=Scope.CONTACTS_ERASE)))]
Verifier = Annotated[
    Principal,
    Depends(allow(Access(ADMINS | {Role.AUDITOR}, scope=Scope.CONTACTS_ERASE))),
]


@router.post("/contacts/{contact_id}/erase", response_model=ErasureAnswer)
async def erase_contact(
    contact_id: str, body: EraseBody, principal: Eraser, deps: Deps, commands: CommandsDep
) -> dict[str, Any]:
    """Destroy a contact's key: nothing personal of it can be read any more, anywhere.

    409 `legal-hold` while a conversation of the contact must be kept. A repeat gives the same
    certificate.
    """
    await commands.execute(EraseContact(contact_id, body.reason), principal.actor)
    return await _certificate(deps, contact_id)


@router.get("/contacts/{contact_id}/erasure", response_model=ErasureAnswer)
async def get_erasure(contact_id: str, principal: Verifier, deps: Deps) -> dict[str, Any]:
    """The signed certificate of an erasure."""
    return await _certificate(deps, contact_id)


@router.post("/conversations/{conversation_id}/legal-hold", response_model=Conversation)
async def place_legal_hold(
    conversation_id: str,
    body: LegalHoldBody,
    principal: Admin,
    deps: Deps,
    commands: CommandsDep,
) -> dict[str, Any]:
    """Keep a conversation as evidence: its contact can't be erased."""
    command = PlaceLegalHold(conversation_id, body.reason)
    receipt = await commands.execute(command, principal.actor)
    query = ConversationAsOf(conversation_id, position=receipt.position)
    return shapes.conversation(await deps.core.query(query))


@router.delete("/conversations/{conversation_id}/legal-hold", response_model=Conversation)
async def lift_legal_hold(
    conversation_id: str, principal: Admin, deps: Deps, commands: CommandsDep
) -> dict[str, Any]:
    """It need not be kept any more."""
    receipt = await commands.execute(LiftLegalHold(conversation_id), principal.actor)
    query = ConversationAsOf(conversation_id, position=receipt.position)
    return shapes.conversation(await deps.core.query(query))


async def _certificate(deps: Deps, contact_id: str) -> dict[str, Any]:
    found: SignedCertificate = await deps.core.query(ErasureOf(contact_id))
    certificate: dict[str, Any] = msgspec.to_builtins(found)
    return certificate
