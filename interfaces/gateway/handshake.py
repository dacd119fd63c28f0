"""The opening handshake of `/ws` (RFC 6455 section 4): from the request to a principal, or to an
answer that says why not. No I/O but the question who holds the token.
"""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Final, NamedTuple
from urllib.parse import parse_qs, urlsplit

import msgspec
import structlog
from websockets.datastructures import Headers
from websockets.http11 import Request, Response
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol

from application.queries.core import Principal
from domain.errors import Forbidden, KefuError, Unauthenticated
from interfaces.authentication import Authenticator, bearer_token
from interfaces.gateway.addresses import ANY_ORIGIN, AllowedOrigins
from interfaces.gateway.session import CLOSE_TRY_AGAIN, CLOSE_UNAUTHENTICATED
from interfaces.problems import MEDIA_TYPE, from_error

_log = structlog.get_logger(__name__)

PATH: Final = "/ws"
SUBPROTOCOL: Final = Subprotocol("kefu.v1")
_BEARER: Final = "bearer."


class Offer(NamedTuple):
    """A request that may be let in."""

    response: Response
    secret: str
    """The token; empty: it has none."""
    browser: bool
    """It came by subprotocol, as browsers do. A browser learns nothing of a refused handshake, so
    it is let in and told by a close code."""


class Answer(NamedTuple):
    """What to send."""

    data: bytes
    principal: Principal | None = None
    """Who was let in."""
    close: tuple[int, str] | None = None
    """Code and reason of a close frame to send behind `data`; None without a principal: close the
    connection."""


class Handshake:
    """One connection's. Feed it what comes until it has something to say.

    Args:
        origins: Of the pages that may connect.
    """

    __slots__ = ("_origins", "_protocol")

    def __init__(self, origins: AllowedOrigins = ANY_ORIGIN) -> None:
        self._origins = origins
        self._protocol = ServerProtocol(select_subprotocol=_select)

    def receive(self, data: bytes) -> Offer | Answer | None:
        """Bytes of the request.

        Returns:
            None: there must be more. An answer with no data: the bytes are no request.
        """
        protocol = self._protocol
        protocol.receive_data(data)
        for event in protocol.events_received():
            if isinstance(event, Request):
                return self._requested(event)
        return Answer(b"") if protocol.parser_exc is not None else None

    async def let_in(self, offer: Offer, authenticator: Authenticator) -> Answer:
        """Ask who it is."""
        try:
            principal = await authenticator.authenticate(offer.secret)
        except KefuError as error:
            if not offer.browser:
                return Answer(self._sent(_refusal(error)))
            known = isinstance(error, Unauthenticated)
            code = CLOSE_UNAUTHENTICATED if known else CLOSE_TRY_AGAIN
            return Answer(self.accepted(offer), close=(code, error.code))
        except Exception:  # noqa: BLE001 - a task has no caller: the client is told, and the log says why
            _log.exception("websocket.handshake_failed")
            return self._reject(HTTPStatus.INTERNAL_SERVER_ERROR, "")
        return Answer(self.accepted(offer), principal)

    def accepted(self, offer: Offer) -> bytes:
        """What to send to whoever is let in."""
        return self._sent(offer.response)

    def _requested(self, request: Request) -> Offer | Answer:
        response = self._protocol.accept(request)
        if response.status_code != HTTPStatus.SWITCHING_PROTOCOLS:
            return Answer(self._sent(response))
        url = urlsplit(request.path)
        if url.path != PATH:
            return self._reject(HTTPStatus.NOT_FOUND, f"Use {PATH}.")
        if not all(map(self._origins.allows, request.headers.get_all("Origin"))):
            return Answer(self._sent(_refusal(Forbidden("Pages of this origin may not connect."))))
        offered = [
            one.strip()
            for header in request.headers.get_all("Sec-WebSocket-Protocol")
            for one in header.split(",")
        ]
        by_subprotocol = [p.removeprefix(_BEARER) for p in offered if p.startswith(_BEARER)]
        by_header = bearer_token(request.headers.get("Authorization", ""))
        by_query = parse_qs(url.query).get("token", [""])[0]
        secret = by_subprotocol[0] if by_subprotocol else by_header or by_query
        browser = bool(by_subprotocol) and SUBPROTOCOL in offered
        return Offer(response, secret, browser)

    def _reject(self, status: HTTPStatus, text: str) -> Answer:
        return Answer(self._sent(self._protocol.reject(status, text + "\n")))

    def _sent(self, response: Response) -> bytes:
        self._protocol.send_response(response)
        data = b"".join(self._protocol.data_to_send())
        # The parser refers to its protocol: 900 bytes a connection that only the cyclic garbage
        # collector would find.
        self._protocol.parser.close()
        return data


def _select(_: ServerProtocol, offered: Sequence[Subprotocol]) -> Subprotocol | None:
    return SUBPROTOCOL if SUBPROTOCOL in offered else None


def _refusal(error: KefuError) -> Response:
    """The problem document, as any route would answer it."""
    problem = from_error(error, PATH)
    body = msgspec.json.encode(problem.body)
    headers = Headers(problem.headers.items())
    headers["Content-Type"] = MEDIA_TYPE
    headers["Content-Length"] = str(len(body))
    return Response(problem.status, HTTPStatus(problem.status).phrase, headers, body)
