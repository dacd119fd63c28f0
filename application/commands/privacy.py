"""Erasing a contact, and legal holds, which forbid it."""

from typing import Any

import msgspec

from application.commands.unit_of_work import Erasure, UnitOfWork
from domain.actors import Actor, ActorKind, Scope, require_admin, require_scope
from domain.contact import contact as contacts
from domain.conversation import conversation as conversations


class EraseContact(msgspec.Struct, frozen=True, tag=True):
    """Keep nothing personal of a contact. Answer: `contact_id`; its key is destroyed then."""

    contact_id: str
    reason: str


class PlaceLegalHold(msgspec.Struct, frozen=True, tag=True):
    """Keep a conversation as evidence. Answer: `conversation_id`."""

    conversation_id: str
    reason: str


class LiftLegalHold(msgspec.Struct, frozen=True, tag=True):
    """It need not be kept any more. Answer: `conversation_id`."""

    conversation_id: str


def erase_contact(uow: UnitOfWork, command: EraseContact, actor: Actor) -> dict[str, Any]:
    """One atomic batch over the contact and its conversations, at most 9,999 of them.

    A repeat writes nothing, and sees to it again that the key is destroyed.
    """
    if actor.kind is ActorKind.API_KEY:
        require_scope(actor, Scope.CONTACTS_ERASE)
    else:
        require_admin(actor)
    contact = uow.load(contacts.DECIDER, command.contact_id)
    contacts.require_exists(contact)
    if not contact.erased:
        closed = [
            (id, conversations.erase_contact(uow.load(conversations.DECIDER, id)))
            for id in contact.conversation_ids
        ]
        who = f"{actor.kind.value}:{actor.id}"
        key_id = uow.sealer.keys.key_id(contact.id) if uow.sealer is not None else None
        events = contacts.erase(contact, command.reason, who, key_id)
        uow.stage(contacts.DECIDER, contact.id, events)
        for id, closing in closed:
            uow.stage(conversations.DECIDER, id, closing)
    uow.erasure = Erasure(contact.id, frozenset(contact.conversation_ids))
    return {"contact_id": contact.id}


def place_legal_hold(uow: UnitOfWork, command: PlaceLegalHold, actor: Actor) -> dict[str, Any]:
    """Administrators only."""
    require_admin(actor)
    conversation = uow.load(conversations.DECIDER, command.conversation_id)
    events = conversations.place_legal_hold(conversation, command.reason)
    uow.stage(conversations.DECIDER, conversation.id, events)
    return {"conversation_id": conversation.id}


def lift_legal_hold(uow: UnitOfWork, command: LiftLegalHold, actor: Actor) -> dict[str, Any]:
    """Administrators only."""
    require_admin(actor)
    conversation = uow.load(conversations.DECIDER, command.conversation_id)
    uow.stage(conversations.DECIDER, conversation.id, conversations.lift_legal_hold(conversation))
    return {"conversation_id": conversation.id}
