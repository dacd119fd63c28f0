"""Events of a contact, as stored."""

from typing import ClassVar

from domain.events import Event


class ContactCreated(Event, frozen=True, tag="contact.created.v1"):
    personal: ClassVar[tuple[str, ...]] = ("identifier", "name", "email")
    identifier: str | None
    """The person's id in the company's own system; None: an anonymous visitor."""
    name: str | None
    email: str | None


class ContactUpdated(Event, frozen=True, tag="contact.updated.v1"):
    personal: ClassVar[tuple[str, ...]] = ("name", "email")
    name: str | None
    email: str | None


class ContactIdentityVerified(Event, frozen=True, tag="contact.identity_verified.v1"):
    """The company's server signed the identifier for the first time."""


class ContactConversationStarted(Event, frozen=True, tag="contact.conversation_started.v1"):
    conversation_id: str
    identity_verified: bool


class SubjectErased(Event, frozen=True, tag="contact.erased.v1"):
    """Nothing personal is kept of the contact from here on; its key is destroyed next."""

    reason: str
    requested_by: str
    """Who gave the order, as `agent:ID`; not the data subject."""
    key_id: str | None
    """The key that sealed the contact's events; None: it had none."""


ContactEvent = (
    ContactCreated
    | ContactUpdated
    | ContactIdentityVerified
    | ContactConversationStarted
    | SubjectErased
)
