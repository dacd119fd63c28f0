"""A participant over HTTP, whatever its dialect."""

import asyncio
import time
from types import SimpleNamespace
from typing import Any, Final

import aiohttp

from application.sagas.outcome import CallOutcome, OutcomeKind
from infrastructure.providers import classification
from infrastructure.providers.classification import HttpAnswer
from infrastructure.providers.profile import Profile
from infrastructure.providers.reading import clean
from infrastructure.providers.requests import Authentication, body_for, look_up_path

_MAX_ANSWER: Final = 65_536
_CONNECTIONS: Final = 100
_IDLE_S: Final = 4.0
"""A connection that is idle for longer is not used again: many servers close theirs after 5 s, and
a call that goes out at that moment comes to an unknown end."""


class _AnswerTooLong(Exception):
    pass


class HttpParticipant:
    """`Participant` for one provider. Connects at the first call; keeps connections open.

    Args:
        base_url: `https://host[:port][/path]`, before every path of the profile.
        profile: How it speaks.
        authentication: Sent with every request, and nowhere else: redirects are not followed.
    """

    def __init__(self, base_url: str, profile: Profile, authentication: Authentication) -> None:
        self._base_url = base_url.rstrip("/")
        self._profile = profile
        self._secrets = authentication.secrets
        self._headers = {
            **profile.headers,
            **authentication.headers(),
            "Accept": "application/json",
            # A compressed answer could be small on the way and huge here.
            "Accept-Encoding": "identity",
        }
        self._session: aiohttp.ClientSession | None = None

    async def call(self, operation: str, key: str, body: bytes, timeout_s: float) -> CallOutcome:
        """See `Participant`.

        Raises:
            InvalidInput: the body is no JSON object.
        """
        path = self._profile.operations.get(operation)
        if path is None:
            return CallOutcome(OutcomeKind.NOT_EXECUTED, code="operation-not-configured")
        headers = {
            self._profile.idempotency_header: key,
            "Content-Type": "application/json",
        }
        data = body_for(self._profile, body)
        answer = await self._exchange("POST", path, headers, data, timeout_s)
        if isinstance(answer, CallOutcome):
            return answer
        return self._without_secret(classification.of_call(self._profile, key, answer))

    async def look_up(self, operation: str, key: str, timeout_s: float) -> CallOutcome:
        """See `Participant`."""
        path = look_up_path(self._profile, operation, key)
        answer = await self._exchange("GET", path, {}, None, timeout_s)
        if isinstance(answer, CallOutcome):
            # Whether the question went out says nothing of the call.
            return CallOutcome(OutcomeKind.UNKNOWN, code=answer.code, detail=answer.detail)
        return self._without_secret(classification.of_look_up(self._profile, key, answer))

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _exchange(
        self,
        method: str,
        path: str,
        headers: dict[str, str],
        data: bytes | None,
        timeout_s: float,
    ) -> HttpAnswer | CallOutcome:
        """An answer that came whole, or what its lack means for a call."""
        progress = SimpleNamespace(connected=False)
        try:
            async with asyncio.timeout(timeout_s):
                return await self._answer(method, path, headers, data, progress)
        except TimeoutError:
            code = "timeout" if progress.connected else "connect-timeout"
            return _no_answer(progress, code, f"No answer within {timeout_s:g} s.")
        except _AnswerTooLong:
            return _no_answer(progress, "answer-too-long", "The answer was not read.")
        except (aiohttp.ClientError, OSError, ValueError) as error:
            # ValueError: what aiohttp says of headers, here or there, that are not HTTP's.
            code = "connection-broken" if progress.connected else "no-connection"
            return _no_answer(progress, code, clean(type(error).__name__))

    async def _answer(
        self,
        method: str,
        path: str,
        headers: dict[str, str],
        data: bytes | None,
        progress: SimpleNamespace,
    ) -> HttpAnswer:
        async with self._opened().request(
            method,
            self._base_url + path,
            data=data,
            headers=self._headers | headers,
            allow_redirects=False,
            trace_request_ctx=progress,
        ) as response:
            body = await _bounded(response.content)
            return HttpAnswer(response.status, response.headers, body, time.time())

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=_CONNECTIONS, keepalive_timeout=_IDLE_S),
                timeout=aiohttp.ClientTimeout(total=None),  # `_exchange` has one
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                trust_env=False,
                trace_configs=[_tracing()],
            )
        return self._session

    def _without_secret(self, outcome: CallOutcome) -> CallOutcome:
        """A provider that repeats what it was sent must not bring it into the log."""
        told = outcome.reference + outcome.code + outcome.detail
        if any(secret in told for secret in self._secrets):
            return CallOutcome(
                outcome.kind, retry_after_s=outcome.retry_after_s, at_us=outcome.at_us
            )
        return outcome


def _tracing() -> aiohttp.TraceConfig:
    """Notes when a request has its connection: from then on it may have been sent."""

    async def connected(_session: Any, context: SimpleNamespace, _params: Any) -> None:
        context.trace_request_ctx.connected = True

    config = aiohttp.TraceConfig()
    config.on_connection_create_end.append(connected)
    config.on_connection_reuseconn.append(connected)
    return config


def _no_answer(progress: SimpleNamespace, code: str, detail: str) -> CallOutcome:
    kind = OutcomeKind.UNKNOWN if progress.connected else OutcomeKind.NOT_EXECUTED
    return CallOutcome(kind, code=code, detail=detail)


async def _bounded(content: aiohttp.StreamReader) -> bytes:
    body = bytearray()
    async for chunk in content.iter_any():
        body += chunk
        if len(body) > _MAX_ANSWER:
            raise _AnswerTooLong
    return bytes(body)
