"""Whether the system that the supervisor started is ready, and what it waits for."""

import json
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any, Final

from interfaces.settings import Settings

_TIMEOUT_S: Final = 1.0
_REBUILDING_LOOK_S: Final = 1.0
_SAY_S: Final = 10.0

# A proxy that the environment names must not be asked for our own loopback address.
_loopback: Final = urllib.request.build_opener(
    urllib.request.ProxyHandler({}),
    # Our own gateway, by an address that its certificate need not name.
    urllib.request.HTTPSHandler(context=ssl._create_unverified_context()),
)


class Readiness:
    """Asks `/readyz` until it says yes; meanwhile tells of an index that is being rebuilt."""

    def __init__(self, settings: Settings, say: Callable[[str], None]) -> None:
        self.ready = False
        self._url = settings.url
        self._say = say
        self._look_at = 0.0
        self._say_at = 0.0

    def look(self) -> None:
        """Ask, unless it is too early to ask again; call often."""
        now = time.monotonic()
        if self.ready or now < self._look_at:
            return
        status, body = self._ask()
        if status == 200:
            self.ready = True
            self._say(f"kefu ready: {self._url}/console")
            self._say(f"demo page:  {self._url}/demo")
        elif index := body.get("index"):
            self._look_at = now + _REBUILDING_LOOK_S
            if now >= self._say_at:
                self._say_at = now + _SAY_S
                self._say(_sentence(index))

    def _ask(self) -> tuple[int, dict[str, Any]]:
        try:
            with _loopback.open(f"{self._url}/readyz", timeout=_TIMEOUT_S) as answer:
                return answer.status, {}
        except urllib.error.HTTPError as error:
            with error:
                try:
                    body = json.loads(error.read())
                except (ValueError, OSError):
                    return error.code, {}  # somebody else's, or cut short
                return error.code, body if isinstance(body, dict) else {}
        except (urllib.error.URLError, OSError):
            return 0, {}


def _sentence(index: dict[str, Any]) -> str:
    how_far = f"{index['percent']} % of {index['total']:,} events"
    if index["failure"] is not None:
        return f"the index of streams can't be rebuilt ({how_far}): {index['failure']}"
    return f"rebuilding the index of streams: {how_far}; commands are taken when it is done"
