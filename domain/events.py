"""The base of all events and the shape of a decider.

An event's tag is the name under which it is stored for ever, with its schema version at the end:
`conversation.message_accepted.v1`. A change of an event's fields is a new version with an upcaster
and a golden file; see docs/howto/add-an-event.md.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, TypeVar

import msgspec

S = TypeVar("S")


class Event(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=False):
    """Something that happened, in the past tense; immutable, stored for ever.

    `gc=False` here and on other values: they are trees, no cycle can go through them, and the
    garbage collector need not walk the thousands that are under way.
    """

    personal: ClassVar[tuple[str, ...]] = ()
    """Fields that tell of a data subject, the contact; `author.name` for a part of a field. They
    are stored sealed with the subject's key (ADR 0018)."""
    subject_optional: ClassVar[bool] = False
    """Whether an event with personal fields may concern nobody, and is then stored in clear."""

    def personal_fields(self) -> tuple[str, ...]:
        """Those of `personal` that this event has: all of the plain names, or none."""
        return self.personal


def stored_name(event: type[Event] | Event) -> str:
    """The name under which events of this class are stored, version included."""
    cls = event if isinstance(event, type) else type(event)
    tag = cls.__struct_config__.tag
    if not isinstance(tag, str):
        raise TypeError(f"{cls.__name__} has no stored name; give it tag='area.what_happened.v1'")
    return tag


@dataclass(frozen=True, slots=True)
class Decider(Generic[S]):
    """How one kind of aggregate is named, begins and folds.

    Decisions are plain functions beside it: `(state, ...) -> tuple[Event, ...]`. They raise a
    `DomainError`, or return no event when a repeat has nothing new to say.
    """

    category: str
    """First part of its streams' names: `conversation` in `conversation-018f...`."""
    initial: Callable[[str], S]
    """State of an aggregate that has no event yet, from its id."""
    evolve: Callable[[S, Any], S]
    """State after one more event; total over every stored event of the aggregate."""

    def stream(self, id: str) -> str:
        """Name of one aggregate's stream."""
        return f"{self.category}-{id}"
