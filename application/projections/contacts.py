"""Read model `contacts`."""

from application.codec import Envelope
from application.projections.records import Changes, ContactRecord, Keys, Records
from domain.contact.events import (
    ContactCreated,
    ContactIdentityVerified,
    ContactUpdated,
    SubjectErased,
)

CATEGORY = "contact"


def keys(envelope: Envelope, found: Keys) -> None:
    """Name the rows that the event may change."""
    found.contacts.add(_id(envelope))


def apply(envelope: Envelope, before: Records, changes: Changes) -> None:
    """Change the row; raises KeyError for a change of a contact that was never created."""
    id, now_us = _id(envelope), envelope.recorded_us
    event = envelope.event
    if isinstance(event, ContactCreated):
        row = ContactRecord(id, event.identifier, event.name, event.email, now_us, now_us)
        changes.records.contacts[id] = row
        return
    row = changes.records.contacts.get(id) or before.contacts[id]
    match event:
        case ContactUpdated(name=name, email=email):
            row.name, row.email = name, email
        case ContactIdentityVerified():
            row.verified = True
        case SubjectErased():
            row.identifier = row.name = row.email = None
            row.erased_us = now_us
        case _:
            return
    row.updated_us = now_us
    changes.records.contacts[id] = row


def _id(envelope: Envelope) -> str:
    return envelope.stream.partition("-")[2]
