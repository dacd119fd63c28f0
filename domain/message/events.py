"""Events of a message, as stored."""

from typing import ClassVar

import msgspec

from domain.actors import ActorKind
from domain.events import Event


class Author(msgspec.Struct, frozen=True, gc=False):
    """Who said it, with the name it had then."""

    kind: ActorKind
    id: str
    name: str


class MessageSent(Event, frozen=True, tag="message.sent.v1"):
    """Holds all that a live push or a view needs, so that neither has to look anything up."""

    personal: ClassVar[tuple[str, ...]] = ("content", "ref", "author.name")

    conversation_id: str
    seq: int
    author: Author
    content: str
    private: bool
    ref: str
    """The sender's own id of the message."""

    def personal_fields(self) -> tuple[str, ...]:
        """Whoever writes, it is about the contact; names of agents are not."""
        return self.personal if self.author.kind is ActorKind.VISITOR else ("content", "ref")


class MessageEdited(Event, frozen=True, tag="message.edited.v1"):
    personal: ClassVar[tuple[str, ...]] = ("content",)

    conversation_id: str
    seq: int
    content: str


class MessageRecalled(Event, frozen=True, tag="message.recalled.v1"):
    conversation_id: str
    seq: int


MessageEvent = MessageSent | MessageEdited | MessageRecalled
