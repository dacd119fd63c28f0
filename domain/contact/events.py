"""Events of a contact, as stored."""

from domain.events import Event


class ContactCreated(Event, frozen=True, tag="contact.created.v1"):
    identifier: str | None
    """The person's id in the company's own system; None: an anonymous visitor."""
    name: str | None
    email: str | None


class ContactUpdated(Event, frozen=True, tag="contact.updated.v1"):
    name: str | None
    email: str | None


class ContactIdentityVerified(Event, frozen=True, tag="contact.identity_verified.v1"):
    """The company's server signed the identifier for the first time."""


class ContactConversationStarted(Event, frozen=True, tag="contact.conversation_started.v1"):
    conversation_id: str
    identity_verified: bool


ContactEvent = (
    ContactCreated | ContactUpdated | ContactIdentityVerified | ContactConversationStarted
)
