"""Read model `api_keys`; sessions' tokens are in no view."""

from application.codec import Envelope
from application.projections.records import ApiKeyRecord, Changes, Keys, Records
from domain.access.events import TokenIssued, TokenRevoked
from domain.actors import ActorKind

CATEGORY = "token"


def keys(envelope: Envelope, found: Keys) -> None:
    """Name the rows that the event may change."""
    found.api_keys.add(_id(envelope))


def apply(envelope: Envelope, before: Records, changes: Changes) -> None:
    """Change the row; other tokens than API keys pass by."""
    id = _id(envelope)
    event = envelope.event
    match event:
        case TokenIssued(kind=ActorKind.API_KEY):
            changes.records.api_keys[id] = ApiKeyRecord(
                id, event.name, [scope.value for scope in event.scopes], envelope.recorded_us
            )
        case TokenRevoked():
            row = changes.records.api_keys.get(id) or before.api_keys.get(id)
            if row is not None:
                row.revoked_us = envelope.recorded_us
                changes.records.api_keys[id] = row


def _id(envelope: Envelope) -> str:
    return envelope.stream.partition("-")[2]
