"""The one event of an idempotency key's stream, as stored."""

from typing import ClassVar

from domain.events import Event


class RequestCompleted(Event, frozen=True, tag="idempotency.request_completed.v1"):
    """Written in the same atomic batch as what the request caused."""

    personal: ClassVar[tuple[str, ...]] = ("fingerprint",)
    subject_optional: ClassVar[bool] = True

    fingerprint: str
    """A short text can be guessed by its hash, so it is personal where the request concerns a
    contact. SHA-256 of the request; the same key with another request is refused."""
    result: dict[str, str | int | None]
    """The command's answer, without the position: that is the event's own, minus one."""
