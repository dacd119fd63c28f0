"""The reads of one person on one day: state, fold and decision."""

import msgspec

from domain.audit.events import AuditRead
from domain.errors import InvalidInput
from domain.events import Decider

MAX_CHARS = 500
MAX_FILTERS = 20


class ReadingDay(msgspec.Struct, frozen=True):
    """State of one person's reads of one day; its id is `<agent>-<yyyymmdd>` (UTC)."""

    id: str
    reads: int = 0


def evolve(state: ReadingDay, event: AuditRead) -> ReadingDay:
    """State after one more event."""
    return msgspec.structs.replace(state, reads=state.reads + 1)


DECIDER: Decider[ReadingDay] = Decider("audit", ReadingDay, evolve)


def record(
    state: ReadingDay, what: str, subject: str | None, filters: dict[str, str]
) -> tuple[AuditRead, ...]:
    """Every read is a new fact; whoever asks says which belong together.

    Raises:
        InvalidInput: a text has more than 500 characters, or there are more than 20 filters.
    """
    texts = (what, subject or "", *filters, *filters.values())
    if len(filters) > MAX_FILTERS or any(len(text) > MAX_CHARS for text in texts):
        raise InvalidInput("This read can't be recorded: its filters are too long.")
    return (AuditRead(what, subject, filters),)
