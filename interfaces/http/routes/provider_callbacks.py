"""Callbacks of payment and ERP providers: whoever signs them is heard (Standard Webhooks).

Source: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

from typing import Literal

import structlog
from fastapi import APIRouter, Depends, Request

from application.commands.saga import ReportOutcome
from application.ports.core import Request as CoreRequest
from application.ports.participants import Callback, CallbackRefused
from application.sagas.keys import saga_of
from domain.actors import SYSTEM
from domain.errors import SagaNotFound
from interfaces.http.authentication import public
from interfaces.http.callbacks import MAX_CALLBACK_BYTES, CallbackStats
from interfaces.http.dependencies import Deps, WebDependencies
from interfaces.http.network import client_address
from interfaces.http.problems import PayloadTooLarge

router = APIRouter(prefix="/providers", tags=["providers"])
_log = structlog.get_logger(__name__)


@router.post("/{provider}/callbacks", status_code=204, dependencies=[Depends(public)])
async def take_callback(provider: Literal["payment", "erp"], request: Request, deps: Deps) -> None:
    """A provider reports what became of a call; 204 also for calls that are not ours, so that it
    does not repeat them. 401 `callback-refused` without a good signature.
    """
    stats: CallbackStats = request.app.state.callback_stats
    body = await request.body()
    if len(body) > MAX_CALLBACK_BYTES:
        raise PayloadTooLarge(f"A callback may have {MAX_CALLBACK_BYTES} bytes at most.")
    try:
        callback = _read(deps, provider, request, body)
    except CallbackRefused:
        stats.taken[provider, "refused"] += 1
        # Only these count: a provider may report thousands a minute from one address.
        request.app.state.limits.login.take("callback:" + client_address(request))
        raise
    saga_id = saga_of(callback.key)
    known = saga_id is not None
    if saga_id is not None:
        command = ReportOutcome(saga_id, callback.key, None, callback.outcome)
        try:
            await deps.core.execute(CoreRequest(command, SYSTEM, request.state.correlation_id))
        except SagaNotFound:
            known = False
    stats.taken[provider, "taken" if known else "unknown"] += 1
    if not known:
        _log.warning("callback.unknown_key", provider=provider, id=callback.id)


def _read(deps: WebDependencies, provider: str, request: Request, body: bytes) -> Callback:
    reader = deps.callback_readers.get(provider)
    if reader is None:
        raise CallbackRefused(f"No {provider} provider that reports anything is configured here.")
    # Starlette's names are in lower case.
    return reader.read(dict(request.headers), body, deps.clock.now_us())
