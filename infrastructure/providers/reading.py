"""What an answer or a callback says, by a profile. Pure."""

import re
from datetime import datetime
from typing import Any, Final

import msgspec

from application.sagas.outcome import CallOutcome, OutcomeKind
from infrastructure.providers.profile import Profile

_REFERENCE: Final = 200
_CODE: Final = 100
_DETAIL: Final = 500
_KINDS: Final = {
    "succeeded": OutcomeKind.SUCCEEDED,
    "pending": OutcomeKind.ACCEPTED,
    "failed": OutcomeKind.DECLINED,
}
_NOT_OF_A_CODE: Final = re.compile(r"[^A-Za-z0-9_.:-]+")
_PERSONAL: Final = re.compile(r"\S+@\S+|\d(?:[ -]?\d){6,}")
"""E-mail addresses, and numbers of cards, accounts and telephones."""
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]+")
_PER_UNIT: Final = {"us": 1, "ms": 1_000, "s": 1_000_000}


def json_object(body: bytes) -> dict[str, Any] | None:
    """The body's JSON object; None: it is none."""
    try:
        value = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    return value if isinstance(value, dict) else None


def at(answer: dict[str, Any], path: str) -> Any:
    """What a dotted path leads to; None: nothing."""
    if not path:
        return None
    value: Any = answer
    for name in path.split("."):
        if not isinstance(value, dict):
            return None
        value = value.get(name)
    return value


def text_at(answer: dict[str, Any], path: str) -> str:
    """The text or number there, as text; empty: there is neither."""
    value = at(answer, path)
    return str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""


def code_of(profile: Profile, answer: dict[str, Any] | None) -> str:
    """The provider's code, cut, without spaces and the like."""
    text = text_at(answer or {}, profile.answer.code)
    return _NOT_OF_A_CODE.sub("-", text)[:_CODE]


def detail_of(profile: Profile, answer: dict[str, Any] | None) -> str:
    """The provider's message, cut, without what looks personal."""
    return clean(text_at(answer or {}, profile.answer.message))


def clean(text: str) -> str:
    """Text for a person, of one line, cut, without what looks personal."""
    # Cut twice: what is dropped anyhow need not be searched.
    return _PERSONAL.sub("[...]", _CONTROL.sub(" ", text[: 4 * _DETAIL]))[:_DETAIL]


def outcome_of(profile: Profile, answer: dict[str, Any]) -> CallOutcome | None:
    """What became of a call; None: the answer has no status that the profile knows."""
    status = profile.statuses.get(text_at(answer, profile.answer.status))
    if status is None:
        return None
    kind = _KINDS[status]
    declined = kind is OutcomeKind.DECLINED
    return CallOutcome(
        kind,
        reference=_CONTROL.sub("", text_at(answer, profile.answer.id))[:_REFERENCE],
        code=(code_of(profile, answer) or "failed") if declined else "",
        detail=detail_of(profile, answer) if declined else "",
        at_us=_time(profile, answer),
    )


def _time(profile: Profile, answer: dict[str, Any]) -> int | None:
    value = at(answer, profile.answer.time)
    if profile.time == "rfc3339":
        if not isinstance(value, str):
            return None
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            return None
        # RFC 3339 section 4.4: a time without an offset is no moment.
        return None if moment.tzinfo is None else round(moment.timestamp() * 1_000_000)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    scaled = value * _PER_UNIT[profile.time]
    return round(scaled) if 0 <= scaled < 2**63 else None
