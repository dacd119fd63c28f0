"""Health and metrics; `/healthz`, `/readyz` and `/metrics` hold nothing personal."""

import asyncio
from typing import Any, Final

import msgspec
from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import JSONResponse

from application.queries.core import IndexHealth, IndexState, LogHealth
from domain.errors import KefuError, Unavailable
from interfaces import shapes
from interfaces.http.authentication import public
from interfaces.http.dependencies import Deps
from interfaces.http.exposition import merge
from interfaces.http.metrics import render

router = APIRouter(tags=["operations"], dependencies=[Depends(public)])
_TIMEOUT_S: Final = 2.0


@router.get("/healthz")
async def healthz() -> dict[str, str]:
    """The process is alive."""
    return {"status": "ok"}


@router.get("/readyz")
async def readyz(deps: Deps) -> JSONResponse:
    """200 when commands and reads work; the body says what does not."""
    (core, index), views = await asyncio.gather(_core(deps), _views(deps))
    parts: dict[str, Any] = {
        "core": core,
        "index": None if index is None else msgspec.to_builtins(index),
        "views": views,
        "log_position": deps.feed.durable_position(),
        "fsync": "before every acknowledgement",
        "scrub": _scrub(deps),
        "archive": deps.archive_state(),
        "audit": None if deps.audit is None else msgspec.to_builtins(deps.audit.state()),
    }
    ready = parts["core"] == "ok" and parts["views"] == "ok"
    return JSONResponse(
        {"status": "ready" if ready else "unavailable", **parts}, 200 if ready else 503
    )


@router.get("/metrics")
async def metrics(request: Request, deps: Deps) -> Response:
    """All roles' metrics in Prometheus's text format."""
    others = await asyncio.to_thread(deps.gather_metrics)
    state = request.app.state
    own = render(state.http_stats, state.callback_stats, deps.hub)
    return Response(merge(own, others), media_type="text/plain; version=0.0.4; charset=utf-8")


def _scrub(deps: Deps) -> dict[str, Any]:
    """Damage that nobody has read yet stops nothing; it is here to be acted on."""
    state = deps.scrub_state()
    if state is None:
        return {"last_full_pass": None, "findings": []}
    last = shapes.optional_time(state.last_full_pass_us or None)
    findings = [msgspec.to_builtins(known.finding) for known in state.findings]
    return {"last_full_pass": last, "findings": findings}


async def _core(deps: Deps) -> tuple[str, IndexState | None]:
    """A core that is connected may hang, a log that failed takes no more events, and none until
    its index of streams is whole."""
    try:
        async with asyncio.timeout(_TIMEOUT_S):
            failure = await deps.core.query(LogHealth())
            index: IndexState | None = await deps.core.query(IndexHealth())
    except (KefuError, TimeoutError):
        return "unavailable", None
    if failure is not None:
        return "read-only", index
    return ("ok" if index is None else "index-rebuilding"), index


async def _views(deps: Deps) -> str:
    try:
        async with asyncio.timeout(_TIMEOUT_S):
            await deps.views.position()
    except (Unavailable, TimeoutError):
        return "unavailable"
    return "ok"
