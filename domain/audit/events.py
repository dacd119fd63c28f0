"""Events of the audit trail, as stored."""

from domain.events import Event


class AuditRead(Event, frozen=True, tag="audit.read.v1"):
    """Somebody read something; who and in which request stands in the event's metadata."""

    what: str
    """The kind of read: the path of the route without its ids, or `subscribe`."""
    subject: str | None
    """Id of the one thing that was read; None: a list."""
    filters: dict[str, str]
    """How the list was narrowed and where it was begun; never words that were searched for."""
