"""Errors as RFC 9457 problem documents; the only file that knows HTTP statuses of errors."""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any, Final, NamedTuple

from application.ports.event_store import IndexRebuilding, StoreReadOnly, WrongExpectedVersion
from domain import errors

MEDIA_TYPE: Final = "application/problem+json"

STATUS: Final[dict[type[errors.KefuError], int]] = {
    errors.InvalidInput: 422,
    errors.IdempotencyKeyReused: 422,
    errors.NotFound: 404,
    errors.Conflict: 409,
    WrongExpectedVersion: 409,
    errors.Unauthenticated: 401,
    errors.Forbidden: 403,
    errors.Busy: 503,
    errors.Unavailable: 503,
    StoreReadOnly: 503,
}
"""The nearest class in an error's ancestry counts; what is not here is a 500."""

_RETRY_AFTER_S: Final = {503: 1}
_REBUILDING_RETRY_AFTER_S: Final = 5
"""It takes minutes; who asks every second would only slow it down."""


class TooManyRequests(errors.DomainError):
    """A rate limit; here and not in the domain, because only the HTTP edge has one."""

    code = "rate-limited"

    def __init__(self, retry_after_s: int) -> None:
        super().__init__(f"Too many requests; try again in {retry_after_s} s.")
        self.retry_after_s = retry_after_s


class PayloadTooLarge(errors.DomainError):
    """The body is over the limit."""

    code = "payload-too-large"


def status_of(error: errors.KefuError) -> int:
    """HTTP status of an error."""
    if isinstance(error, TooManyRequests):
        return 429
    if isinstance(error, PayloadTooLarge):
        return 413
    return next((STATUS[cls] for cls in type(error).__mro__ if cls in STATUS), 500)


class Problem(NamedTuple):
    """A problem document (RFC 9457 section 3), ready to be sent as JSON."""

    status: int
    headers: dict[str, str]
    body: dict[str, Any]


def problem(
    status: int,
    code: str,
    detail: str,
    *,
    instance: str | None = None,
    fields: Sequence[dict[str, str]] = (),
    headers: dict[str, str] | None = None,
) -> Problem:
    """A problem document."""
    body: dict[str, Any] = {
        "type": f"urn:kefu:problem:{code}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "code": code,
    }
    if instance is not None:
        body["instance"] = instance
    if fields:
        body["errors"] = list(fields)
    return Problem(status, headers or {}, body)


def from_error(error: errors.KefuError, instance: str | None = None) -> Problem:
    """The problem document of an error."""
    status = status_of(error)
    headers: dict[str, str] = {}
    if isinstance(error, TooManyRequests):
        headers["Retry-After"] = str(error.retry_after_s)
    elif isinstance(error, IndexRebuilding):
        headers["Retry-After"] = str(_REBUILDING_RETRY_AFTER_S)
    elif status in _RETRY_AFTER_S:
        headers["Retry-After"] = str(_RETRY_AFTER_S[status])
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    fields: list[dict[str, str]] = []
    if isinstance(error, errors.InvalidInput) and error.field is not None:
        fields = [{"detail": error.detail, "pointer": f"#/{error.field}"}]
    return problem(
        status, error.code, error.detail, instance=instance, fields=fields, headers=headers
    )
