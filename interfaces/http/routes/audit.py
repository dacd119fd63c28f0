"""The transparency log: checkpoint and tiles as c2sp.org/tlog-tiles says, and receipts."""

import asyncio
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Path, Response

from application.ports.transparency import TransparencyLog
from application.queries.core import Principal
from domain.actors import Scope
from domain.errors import EventNotFound, TileNotFound, Unavailable
from interfaces.http.authentication import AUDITORS, Access, allow
from interfaces.http.dependencies import Deps, WebDependencies

tiles = APIRouter(prefix="/audit", tags=["audit"])
router = APIRouter(prefix="/events", tags=["audit"])
Auditor = Annotated[Principal, Depends(allow(Access(AUDITORS, scope=Scope.AUDIT_READ)))]

_TEXT: Final = "text/plain; charset=utf-8"
_IMMUTABLE: Final = {"Cache-Control": "private, max-age=31536000, immutable"}
_FRESH: Final = {"Cache-Control": "no-cache"}
_WAIT_S: Final = 5.0


@tiles.get("/checkpoint", response_class=Response, responses={200: {"content": {_TEXT: {}}}})
async def get_checkpoint(principal: Auditor, deps: Deps) -> Response:
    """The last signed checkpoint (c2sp.org/tlog-checkpoint)."""
    note = await asyncio.to_thread(_log(deps).checkpoint)
    if note is None:
        raise Unavailable("There is no checkpoint yet.")
    return Response(note, media_type=_TEXT, headers=_FRESH)


@tiles.get(
    "/tile/{path:path}",
    response_class=Response,
    responses={200: {"content": {"application/octet-stream": {}}}},
)
async def get_tile(
    principal: Auditor,
    deps: Deps,
    path: Annotated[str, Path(max_length=100, description="`L/N`, `entries/N`, with `.p/W`")],
) -> Response:
    """A tile of hashes or a bundle of entries; never changes."""
    data = await asyncio.to_thread(_log(deps).tile, path)
    if data is None:
        raise TileNotFound(path)
    return Response(data, media_type="application/octet-stream", headers=_IMMUTABLE)


@router.get(
    "/{position}/receipt", response_class=Response, responses={200: {"content": {_TEXT: {}}}}
)
async def get_receipt(
    principal: Auditor, deps: Deps, position: Annotated[int, Path(ge=1, le=2**62)]
) -> Response:
    """A receipt (c2sp.org/tlog-proof) of an event; waits for a checkpoint that covers it.

    `kefu audit verify-receipt` checks it without a server.
    """
    if position > await asyncio.to_thread(deps.feed.durable_position):
        raise EventNotFound(str(position))
    text = await asyncio.to_thread(_log(deps).receipt, position, _WAIT_S)
    name = f'attachment; filename="event-{position}.tlog-proof"'
    return Response(text, media_type=_TEXT, headers={**_FRESH, "Content-Disposition": name})


def _log(deps: WebDependencies) -> TransparencyLog:
    if deps.audit is None:
        raise Unavailable("There is no transparency log.")
    return deps.audit
