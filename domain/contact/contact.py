"""Contact: identity, state, fold and decisions."""

import hashlib
import uuid

import msgspec

from domain import errors, text
from domain.contact.events import (
    ContactConversationStarted,
    ContactCreated,
    ContactEvent,
    ContactIdentityVerified,
    ContactUpdated,
    SubjectErased,
)
from domain.events import Decider

_replace = msgspec.structs.replace


class Contact(msgspec.Struct, frozen=True):
    """State of one contact after some of its events."""

    id: str
    exists: bool = False
    identifier: str | None = None
    name: str | None = None
    email: str | None = None
    verified: bool = False
    """The identity was proved at least once."""
    verified_conversation_id: str | None = None
    """The latest conversation that was started with a proved identity: the one to resume."""
    conversation_ids: tuple[str, ...] = ()
    """All of them, in the order in which they began."""
    erased: bool = False


def contact_id(identifier: str) -> str:
    """The id of the contact with this identifier, derived so that two first calls find one.

    A UUID of version 8 (RFC 9562 section 5.8) over SHA-256.
    """
    digest = bytearray(hashlib.sha256(b"contact\x00" + identifier.encode()).digest()[:16])
    digest[6] = digest[6] & 0x0F | 0x80
    digest[8] = digest[8] & 0x3F | 0x80
    return str(uuid.UUID(bytes=bytes(digest)))


def successor_id(id: str) -> str:
    """The id of the contact that begins when somebody comes back who was erased."""
    return contact_id(f"\x00after {id}")  # no identifier holds a NUL


def evolve(state: Contact, event: ContactEvent) -> Contact:
    """State after one more event."""
    match event:
        case ContactCreated():
            return _replace(
                state,
                exists=True,
                identifier=event.identifier,
                name=event.name,
                email=event.email,
            )
        case ContactUpdated(name=name, email=email):
            return _replace(state, name=name, email=email)
        case ContactIdentityVerified():
            return _replace(state, verified=True)
        case ContactConversationStarted(conversation_id=conversation_id):
            ids = (*state.conversation_ids, conversation_id)
            if not event.identity_verified:
                return _replace(state, conversation_ids=ids)
            return _replace(state, conversation_ids=ids, verified_conversation_id=conversation_id)
        case SubjectErased():
            return _replace(
                state,
                identifier=None,
                name=None,
                email=None,
                verified_conversation_id=None,
                erased=True,
            )


DECIDER: Decider[Contact] = Decider("contact", Contact, evolve)


def introduce(
    state: Contact,
    identifier: str | None,
    name: str | None,
    email: str | None,
    *,
    identity_verified: bool,
) -> tuple[ContactEvent, ...]:
    """A person says who it is.

    What is already known of a contact is changed only by a proved identity: anybody can type
    another person's identifier into a browser (ADR 0004).
    """
    name = text.clean_line(name, "name") if name else None
    email = text.clean_email(email) if email else None
    events: list[ContactEvent] = []
    if not state.exists:
        if identifier is not None:
            identifier = text.clean_line(identifier, "identifier")
        events.append(ContactCreated(identifier, name, email))
    elif identity_verified:
        known = (state.name, state.email)
        wanted = (name or state.name, email or state.email)
        if wanted != known:
            events.append(ContactUpdated(*wanted))
    if identity_verified and identifier is not None and not state.verified:
        events.append(ContactIdentityVerified())
    return tuple(events)


def update(state: Contact, name: str | None, email: str | None) -> tuple[ContactEvent, ...]:
    """An agent corrects what is known of a person.

    Raises:
        ContactNotFound: there is no such contact.
        ContactErased: nothing is kept of it any more.
        InvalidInput: name or email break a limit.
    """
    require_exists(state)
    if state.erased:
        raise errors.ContactErased
    name = text.clean_line(name, "name") if name else None
    email = text.clean_email(email) if email else None
    return () if (name, email) == (state.name, state.email) else (ContactUpdated(name, email),)


def start_conversation(
    state: Contact, conversation_id: str, *, identity_verified: bool
) -> tuple[ContactEvent, ...]:
    """Note that a conversation of this contact begins."""
    return (ContactConversationStarted(conversation_id, identity_verified),)


def erase(
    state: Contact, reason: str, requested_by: str, key_id: str | None
) -> tuple[ContactEvent, ...]:
    """Keep nothing personal any more; a repeat says nothing new.

    Whether the contact may be erased is for whoever sees its conversations (`LegalHold`).

    Raises:
        ContactNotFound: there is no such contact.
        InvalidInput: the reason is too long or holds a control character.
    """
    require_exists(state)
    if state.erased:
        return ()
    reason = text.clean_line(reason, "reason", text.MAX_REASON_CHARS)
    return (SubjectErased(reason, requested_by, key_id),)


def require_exists(state: Contact) -> None:
    """The contact exists.

    Raises:
        ContactNotFound: it does not.
    """
    if not state.exists:
        raise errors.ContactNotFound(state.id)
