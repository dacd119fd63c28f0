"""Who holds a token."""

from collections import OrderedDict
from typing import Final

from application.ports.core import Core
from application.ports.system import Clock
from application.queries.core import Authenticate, Principal
from domain.access.token import token_id
from domain.errors import TokenExpired, Unauthenticated

_CACHE_S: Final = 60
_CACHE_SIZE: Final = 50_000
MAX_TOKEN_CHARS: Final = 512


class Authenticator:
    """Asks the core who holds a token, and remembers the answer for up to a minute.

    The hub calls `forget` and `forget_subject` as soon as the log says that a token or its agent
    changed, so a revoked session ends at once and not after that minute.
    """

    def __init__(self, core: Core, clock: Clock) -> None:
        self._core = core
        self._clock = clock
        self._cache: OrderedDict[str, tuple[Principal, int]] = OrderedDict()

    async def authenticate(self, secret: str) -> Principal:
        """The token's holder.

        Raises:
            Unauthenticated, TokenExpired: it opens nothing.
            Unavailable: the core does not answer and the token is not remembered.
        """
        if not 1 <= len(secret) <= MAX_TOKEN_CHARS:
            raise Unauthenticated
        id = token_id(secret)
        now_us = self._clock.now_us()
        found = self._cache.get(id)
        if found is not None and found[1] > now_us - _CACHE_S * 1_000_000:
            principal = found[0]
        else:
            principal = await self._core.query(Authenticate(id))
            self._cache[id] = (principal, now_us)
            while len(self._cache) > _CACHE_SIZE:
                self._cache.popitem(last=False)
        if principal.expires_us is not None and principal.expires_us <= now_us:
            raise TokenExpired
        return principal

    def forget(self, id: str) -> None:
        """The token with this id changed."""
        self._cache.pop(id, None)

    def forget_subject(self, subject_id: str) -> None:
        """The agent or contact with this id changed."""
        stale = [id for id, (p, _) in self._cache.items() if p.actor.id == subject_id]
        for id in stale:
            del self._cache[id]


def bearer_token(header: str) -> str | None:
    """The token in an Authorization header's value; None: there is none of this scheme."""
    scheme, _, value = header.partition(" ")
    return value.strip() if scheme.lower() == "bearer" and value.strip() else None
