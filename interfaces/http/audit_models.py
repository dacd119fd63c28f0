"""Answers about lives and traces, for OpenAPI; shapes are made in `interfaces.audit_shapes`."""

from typing import Any

from interfaces.http.models import CONVERSATION_ID, Answer, Author, Meta

_MESSAGE_ID = "b2a4e9a0-7f3c-8a51-9d3e-0123456789ab"
_TIME = "2026-11-24T09:30:00.123456Z"


class Texts(Answer):
    zh: str = "标记为已解决"
    en: str = "resolved it"


class Who(Answer):
    kind: str = "agent"
    id: str = "0192f3a4-0000-7000-8000-00000000000a"
    name: str | None = "韩梅梅"


class Why(Answer):
    reason: Texts | None = None
    causation_id: str | None = None
    correlation_id: str = "0192f3a4-5b6c-7d8e-9f00-112233445577"
    traceparent: str | None = None


class LifeEventAnswer(Answer):
    position: int = 42
    time: str = _TIME
    stream: str = f"conversation-{CONVERSATION_ID}"
    version: int = 3
    type: str = "conversation.resolved.v1"
    actor: Who = Who()
    what: Texts = Texts()
    why: Why = Why()
    unreadable: str | None = None
    event: dict[str, Any]
    """As in the feed of events."""
    payload_sha256: str = "0" * 64
    receipt: str = "/api/v1/events/42/receipt"


class Life(Answer):
    data: list[LifeEventAnswer]
    meta: Meta = Meta()


class GapAnswer(Texts):
    code: str = "not-stored"
    detail: str | None = None


class StationAnswer(Answer):
    station: str = "projected"
    state: str = "done"
    at: str | None = _TIME
    not_before: str | None = None
    not_after: str | None = None
    position: int | None = 42
    reader: Author | None = None
    gap: GapAnswer | None = None


class Trace(Answer):
    message_id: str = _MESSAGE_ID
    conversation_id: str = CONVERSATION_ID
    seq: int = 1
    private: bool = False
    author: Author = Author()
    position: int = 42
    accepted_position: int | None = 41
    recorded_at: str = _TIME
    stations: list[StationAnswer]
