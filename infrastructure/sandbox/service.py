"""The sandbox's HTTP: calls and look-ups with their faults, and what tests set and look at."""

import asyncio
import hashlib
import sqlite3
from collections.abc import Awaitable, Callable
from typing import Any, Final, NoReturn

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from domain.errors import InvalidInput
from infrastructure.sandbox import reports
from infrastructure.sandbox.committer import Committer
from infrastructure.sandbox.faults import Fault, Faults, plan_of
from infrastructure.sandbox.ledger import Answer, Ledger, problem
from infrastructure.sandbox.operations import LOOK_UPS, PATHS, Call, read_fields

_MAX_BODY: Final = 65_536
_MAX_KEY: Final = 200
Abort = Callable[[Request], Awaitable[None]]
"""Closes the connection of a request without an answer."""


class _Order(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    total_minor: int
    currency: str


class _Dropped(Exception):
    """No answer: the connection is closed."""


class Sandbox:
    """Payment provider and ERP.

    Args:
        settle_after_s: Payments are pending for so long; None: settled at once.
        changed: Called when something will change by itself.
        abort: See `Abort`.
    """

    def __init__(
        self,
        database: sqlite3.Connection,
        committer: Committer,
        ledger: Ledger,
        *,
        settle_after_s: float | None,
        changed: Callable[[], None],
        abort: Abort,
    ) -> None:
        self._db = database
        self._committer = committer
        self._ledger = ledger
        self._settle_after_s = settle_after_s
        self._changed = changed
        self._abort = abort
        self._faults = Faults()
        self._in_flight: set[str] = set()
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """Nobody is kept waiting any more by a fault."""
        self._stopping.set()

    def app(self) -> Starlette:
        """As ASGI."""
        calls = [Route(path, self._call, methods=["POST"]) for path in PATHS]
        look_ups = [
            Route(f"/{name}/operations/{{key:path}}", self._look_up, methods=["GET"])
            for name in LOOK_UPS
        ]
        own = [
            Route("/_sandbox/orders/{reference:path}", self._put_order, methods=["PUT"]),
            Route("/_sandbox/faults", self._set_fault, methods=["POST"]),
            Route("/_sandbox/faults", self._list_faults, methods=["GET"]),
            Route("/_sandbox/faults", self._clear_faults, methods=["DELETE"]),
            Route("/_sandbox/faults/{id:int}", self._clear_fault, methods=["DELETE"]),
            Route("/_sandbox/ledger", self._show_ledger, methods=["GET"]),
            Route("/_sandbox/calls", self._show_calls, methods=["GET"]),
            Route("/_sandbox/callbacks", self._show_callbacks, methods=["GET"]),
        ]
        return Starlette(routes=[*calls, *look_ups, *own])

    # What a provider has

    async def _call(self, request: Request) -> Response:
        operation = PATHS[request.scope["path"]]
        key = request.headers.get("idempotency-key", "")
        if not 0 < len(key) <= _MAX_KEY or not key.isprintable():
            return _response(problem(400, "idempotency-key-missing", "Send an Idempotency-Key."))
        # Not waited for: it is on disk before what comes behind it is.
        self._committer.run(lambda: self._ledger.count(operation, key))
        try:
            body = await _body(request)
            fields = read_fields(operation, body)
        except InvalidInput as error:
            return _response(problem(400, "invalid-body", error.detail))
        if key in self._in_flight:
            return _in_flight()
        digest = hashlib.sha256(operation.encode() + b"\0" + body).digest()
        call = Call(operation, key, digest, fields)
        faults = self._faults.take(operation, fields.order_reference)
        return await self._run(request, key, faults, lambda: self._do(call, faults))

    async def _look_up(self, request: Request) -> Response:
        key = request.path_params["key"]
        participant = request.scope["path"].split("/", 2)[1]
        operation = LOOK_UPS[participant]

        def question() -> str | None:
            self._ledger.count(operation, key)
            return self._ledger.order_of(key)

        faults = self._faults.take(operation, await self._committer.run(question))

        async def answer() -> Answer:
            return await self._committer.run(lambda: self._ledger.look_up(participant, key))

        return await self._run(request, None, faults, answer)

    async def _do(self, call: Call, faults: list[Fault]) -> Answer:
        payment = call.operation.startswith("payment.")
        plan = plan_of(faults, self._settle_after_s if payment else None)
        answer = await self._committer.run(lambda: self._ledger.call(call, plan))
        if plan.settle_after_s is not None or plan.reverse_after_s is not None:
            self._changed()
        return answer

    async def _run(
        self,
        request: Request,
        key: str | None,
        faults: list[Fault],
        do: Callable[[], Awaitable[Answer]],
    ) -> Response:
        if not faults and key is None:
            return _response(await do())
        if key is not None:
            self._in_flight.add(key)
        try:
            return await self._with_faults(request, faults, do)
        except _Dropped:
            await self._abort(request)
            return Response()
        finally:
            if key is not None:
                self._in_flight.discard(key)

    async def _with_faults(
        self, request: Request, faults: list[Fault], do: Callable[[], Awaitable[Answer]]
    ) -> Response:
        for fault in faults:
            match fault.fault:
                case "delay" if fault.when == "before":
                    await self._delay(fault.delay_s)
                case "drop-request":
                    raise _Dropped
                case "in-flight":
                    return _in_flight(fault.retry_after)
                case "status" if not fault.done:
                    return _status(fault)
                case "hang" if not fault.done:
                    await self._hang(request)
                case _:
                    pass
        answer = await do()
        for fault in faults:
            match fault.fault:
                case "delay" if fault.when == "after":
                    await self._delay(fault.delay_s)
                case "drop-answer":
                    raise _Dropped
                case "status" if fault.done:
                    return _status(fault)
                case "hang" if fault.done:
                    await self._hang(request)
                case _:
                    pass
        return _response(answer)

    async def _delay(self, delay_s: float) -> None:
        try:
            async with asyncio.timeout(delay_s):
                await self._stopping.wait()
        except TimeoutError:
            return
        raise _Dropped

    async def _hang(self, request: Request) -> NoReturn:
        """Until whoever asks has closed the connection."""
        ends = [asyncio.create_task(self._stopping.wait()), asyncio.create_task(_gone(request))]
        try:
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for end in ends:
                end.cancel()
        raise _Dropped

    # What only a sandbox has

    async def _put_order(self, request: Request) -> Response:
        reference = request.path_params["reference"]
        try:
            order = msgspec.json.decode(await _body(request), type=_Order)
        except (msgspec.DecodeError, UnicodeDecodeError, InvalidInput) as error:
            return _response(problem(400, "invalid-body", str(error)))
        await self._committer.run(
            lambda: self._ledger.put_order(reference, order.total_minor, order.currency)
        )
        return _json({"order_reference": reference, **msgspec.to_builtins(order)})

    async def _set_fault(self, request: Request) -> Response:
        try:
            return _json({"id": self._faults.add(await _body(request))}, 201)
        except InvalidInput as error:
            return _response(problem(400, "invalid-body", error.detail))

    async def _list_faults(self, request: Request) -> Response:
        return _json(self._faults.all())

    async def _clear_faults(self, request: Request) -> Response:
        self._faults.clear()
        return Response(status_code=204)

    async def _clear_fault(self, request: Request) -> Response:
        if self._faults.remove(request.path_params["id"]):
            return Response(status_code=204)
        return _response(problem(404, "not-found", "There is no fault with this id."))

    async def _show_ledger(self, request: Request) -> Response:
        order = request.query_params.get("order", "")
        return _json(await self._committer.run(lambda: reports.ledger(self._db, order)))

    async def _show_calls(self, request: Request) -> Response:
        return _json(await self._committer.run(lambda: reports.calls(self._db)))

    async def _show_callbacks(self, request: Request) -> Response:
        return _json(await self._committer.run(lambda: reports.callbacks(self._db)))


async def _body(request: Request) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > _MAX_BODY:
            raise InvalidInput(f"A body has at most {_MAX_BODY} bytes.")
    return bytes(body)


async def _gone(request: Request) -> None:
    """Wait until whoever asks has closed the connection."""
    while (await request.receive())["type"] != "http.disconnect":
        continue


def _json(value: Any, status: int = 200) -> Response:
    return _response(Answer(status, msgspec.json.encode(value)))


def _response(answer: Answer, headers: dict[str, str] | None = None) -> Response:
    return Response(answer.body, answer.status, headers, media_type="application/json")


def _in_flight(retry_after: str | None = None) -> Response:
    headers = None if retry_after is None else {"Retry-After": retry_after}
    return _response(problem(409, "in-flight", "This key is being worked on."), headers)


def _status(fault: Fault) -> Response:
    headers = None if fault.retry_after is None else {"Retry-After": fault.retry_after}
    code = fault.code or "sandbox-fault"
    return _response(problem(fault.status, code, "The sandbox was told to say so."), headers)
