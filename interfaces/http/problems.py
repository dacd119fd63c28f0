"""Problem documents as responses of the app; what they say is in `interfaces.problems`."""

from collections.abc import Sequence
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from domain import errors
from interfaces import problems
from interfaces.problems import MEDIA_TYPE as MEDIA_TYPE
from interfaces.problems import PayloadTooLarge as PayloadTooLarge
from interfaces.problems import Problem
from interfaces.problems import TooManyRequests as TooManyRequests

_log = structlog.get_logger(__name__)


def response(found: Problem) -> JSONResponse:
    """A problem document as a response."""
    return JSONResponse(
        found.body, found.status, headers=found.headers or None, media_type=MEDIA_TYPE
    )


def problem(
    status: int,
    code: str,
    detail: str,
    *,
    instance: str | None = None,
    fields: Sequence[dict[str, str]] = (),
    headers: dict[str, str] | None = None,
) -> JSONResponse:
    """As `interfaces.problems.problem`."""
    return response(
        problems.problem(status, code, detail, instance=instance, fields=fields, headers=headers)
    )


def from_error(error: errors.KefuError, instance: str | None = None) -> JSONResponse:
    """The problem document of an error."""
    return response(problems.from_error(error, instance))


def install(app: FastAPI) -> None:
    """Every error of the app becomes a problem document."""

    async def kefu_error(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, errors.KefuError)
        return from_error(error, request.url.path)

    async def validation_error(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, RequestValidationError)
        found = error.errors()
        if any(one["type"] == "json_invalid" for one in found):
            return problem(
                400, "malformed-json", "The body is not JSON.", instance=request.url.path
            )
        fields = [{"detail": one["msg"], "pointer": _pointer(one["loc"])} for one in found]
        detail = "; ".join(f"{f['pointer']}: {f['detail']}" for f in fields)
        return problem(422, "invalid-input", detail, instance=request.url.path, fields=fields)

    async def http_error(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, HTTPException)
        status = error.status_code
        code = {400: "bad-request", 404: "not-found", 405: "method-not-allowed"}.get(
            status, "http-error"
        )
        return problem(
            status,
            code,
            str(error.detail),
            instance=request.url.path,
            headers=dict(error.headers) if error.headers else None,
        )

    async def bug(request: Request, error: Exception) -> JSONResponse:
        correlation = getattr(request.state, "correlation_id", "unknown")
        _log.error("http.failed", path=request.url.path, exc_info=error)
        detail = f"kefu failed on this request; its log has more under {correlation}."
        return problem(500, "internal-error", detail, instance=request.url.path)

    app.add_exception_handler(errors.KefuError, kefu_error)
    app.add_exception_handler(RequestValidationError, validation_error)
    app.add_exception_handler(HTTPException, http_error)
    app.add_exception_handler(Exception, bug)


def _pointer(location: Sequence[Any]) -> str:
    where, *path = location
    prefix = "#" if where == "body" else f"{where}:"
    return prefix + "".join(f"/{part}" for part in path)
