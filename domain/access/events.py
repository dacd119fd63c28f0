"""Events of an access token, as stored. Times are microseconds since 1970 UTC."""

from typing import ClassVar

from domain.actors import ActorKind, Scope
from domain.events import Event


class TokenIssued(Event, frozen=True, tag="token.issued.v3"):
    personal: ClassVar[tuple[str, ...]] = ("name",)
    kind: ActorKind
    """agent, visitor or api_key."""
    subject_id: str
    """The agent's or contact's id; for an API key its own id."""
    name: str
    conversation_id: str | None
    scopes: tuple[Scope, ...]
    expires_us: int | None

    def personal_fields(self) -> tuple[str, ...]:
        """Visitors are data subjects; agents are staff."""
        return self.personal if self.kind is ActorKind.VISITOR else ()


class TokenRevoked(Event, frozen=True, tag="token.revoked.v1"):
    pass


TokenEvent = TokenIssued | TokenRevoked
