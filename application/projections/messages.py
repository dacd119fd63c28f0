"""Read model `messages`: what was said, as it stands."""

from application.codec import Envelope
from application.projections.records import Changes, Keys, MessageRecord, Records
from domain.message.events import MessageEdited, MessageRecalled, MessageSent

CATEGORY = "message"


def keys(envelope: Envelope, found: Keys) -> None:
    """Name the rows that the event may change; a new message's is not there yet."""
    event = envelope.event
    if isinstance(event, MessageSent):  # nearly all; the union below is slow to test
        return
    if isinstance(event, MessageEdited | MessageRecalled):
        found.messages.add((event.conversation_id, event.seq))


def apply(envelope: Envelope, before: Records, changes: Changes) -> None:
    """Change the row.

    Raises:
        KeyError: a change of a message that was never sent.
        ValueError: its place in the conversation is taken.
    """
    event = envelope.event
    match event:
        case MessageSent():
            key = (event.conversation_id, event.seq)
            if key in changes.new_messages:
                raise ValueError(f"seq {event.seq} of {event.conversation_id} is taken")
            changes.records.messages[key] = MessageRecord(
                conversation_id=event.conversation_id,
                seq=event.seq,
                message_id=envelope.stream.partition("-")[2],
                author_kind=event.author.kind.value,
                author_id=event.author.id,
                author_name=event.author.name,
                content=event.content,
                private=event.private,
                created_us=envelope.recorded_us,
                position=envelope.position,
            )
            changes.new_messages.add(key)
            changes.unsent.discard(key)
        case MessageEdited() | MessageRecalled():
            key = (event.conversation_id, event.seq)
            row = changes.records.messages.get(key) or before.messages[key]
            changes.records.messages[key] = row
            if isinstance(event, MessageEdited):
                row.content, row.edited_us = event.content, envelope.recorded_us
            else:
                row.content, row.recalled_us = "", envelope.recorded_us
