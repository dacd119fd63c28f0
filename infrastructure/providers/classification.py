"""What an HTTP answer, or the lack of one, means for the call. Pure.

A time-out or a broken connection means unknown, not failure; no for good is said only by what says
so. Source: docs/howto/providers.md.
"""

import email.utils
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from application.sagas.outcome import CallOutcome, OutcomeKind
from infrastructure.providers.profile import Profile
from infrastructure.providers.reading import (
    code_of,
    detail_of,
    json_object,
    outcome_of,
    text_at,
)

IN_FLIGHT_RETRY_S: Final = 1.0
_LONGEST_RETRY_AFTER_S: Final = 86_400.0
_DECLINED: Final = frozenset({400, 402, 403, 404, 405, 406, 410, 411, 413, 414, 415, 417, 422, 431})
"""The request itself is refused, and would be again (RFC 9110 section 15.5)."""
_UNAUTHORISED: Final = frozenset({401, 407})


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """An answer that came whole."""

    status: int
    headers: Mapping[str, str]
    """Names in any case."""
    body: bytes
    now_s: float
    """Time of its arrival, s since 1970."""


def of_call(profile: Profile, key: str, answer: HttpAnswer) -> CallOutcome:
    """What an answer to a call with this key means."""
    said = json_object(answer.body)
    status = answer.status
    if 200 <= status < 300:
        return _of_result(profile, key, said)
    if status in _UNAUTHORISED:
        return _outcome(OutcomeKind.NOT_EXECUTED, "unauthorised", profile, said, answer)
    code = code_of(profile, said)
    if status == 409:
        return _of_conflict(profile, said, code, answer)
    if status in _DECLINED:
        return _outcome(OutcomeKind.DECLINED, code or f"http-{status}", profile, said, answer)
    wait_s = retry_after_s(answer.headers, answer.now_s)
    if status == 429 or (status == 503 and wait_s is not None):
        kind = OutcomeKind.NOT_EXECUTED
        return _outcome(kind, code or f"http-{status}", profile, said, answer)
    return _outcome(OutcomeKind.UNKNOWN, code or f"http-{status}", profile, said, answer)


def of_look_up(profile: Profile, key: str, answer: HttpAnswer) -> CallOutcome:
    """What an answer to a question means; a refusal of the question says nothing of the call."""
    said = json_object(answer.body)
    if 200 <= answer.status < 300:
        return _of_result(profile, key, said)
    if answer.status == 404:
        return _outcome(OutcomeKind.NOT_FOUND, "", profile, said, answer)
    code = code_of(profile, said)
    if answer.status in _UNAUTHORISED:
        code = "unauthorised"
    elif answer.status == 409 and code in profile.in_flight:
        return _in_flight(profile, said, code, answer)
    return _outcome(OutcomeKind.UNKNOWN, code or f"http-{answer.status}", profile, said, answer)


def retry_after_s(headers: Mapping[str, str], now_s: float) -> float | None:
    """Retry-After in s, from seconds or a date (RFC 9110 section 10.2.3); at most a day."""
    text = next((v for k, v in headers.items() if k.lower() == "retry-after"), "").strip()
    if not text:
        return None
    if text.isascii() and text.isdigit():
        return min(float(text), _LONGEST_RETRY_AFTER_S)
    try:
        moment = email.utils.parsedate_to_datetime(text)
    except ValueError:
        return None
    return min(max(moment.timestamp() - now_s, 0.0), _LONGEST_RETRY_AFTER_S)


def _of_result(profile: Profile, key: str, said: dict[str, Any] | None) -> CallOutcome:
    outcome = None if said is None else outcome_of(profile, said)
    if said is None or outcome is None:
        return CallOutcome(OutcomeKind.UNKNOWN, code="unreadable-answer")
    if text_at(said, profile.answer.key) not in ("", key):
        return CallOutcome(OutcomeKind.UNKNOWN, code="answer-to-another-key")
    return outcome


def _of_conflict(
    profile: Profile, said: dict[str, Any] | None, code: str, answer: HttpAnswer
) -> CallOutcome:
    if code in profile.in_flight:
        return _in_flight(profile, said, code, answer)
    if code in profile.already_compensated:
        return _outcome(OutcomeKind.DECLINED, code, profile, said, answer)
    return _outcome(OutcomeKind.UNKNOWN, code or "http-409", profile, said, answer)


def _in_flight(
    profile: Profile, said: dict[str, Any] | None, code: str, answer: HttpAnswer
) -> CallOutcome:
    wait_s = retry_after_s(answer.headers, answer.now_s)
    return CallOutcome(
        OutcomeKind.UNKNOWN,
        code=code,
        detail=detail_of(profile, said),
        retry_after_s=IN_FLIGHT_RETRY_S if wait_s is None else wait_s,
    )


def _outcome(
    kind: OutcomeKind,
    code: str,
    profile: Profile,
    said: dict[str, Any] | None,
    answer: HttpAnswer,
) -> CallOutcome:
    told = outcome_of(profile, said) if said and kind is OutcomeKind.DECLINED else None
    return CallOutcome(
        kind,
        reference=told.reference if told else "",
        code=code,
        detail=detail_of(profile, said),
        retry_after_s=retry_after_s(answer.headers, answer.now_s),
        at_us=told.at_us if told else None,
    )
