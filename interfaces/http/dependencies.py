"""What routes and sessions need, built once by the composition root."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Annotated, Any, Protocol

import msgspec
from fastapi import Depends
from starlette.requests import HTTPConnection

from application.ports.core import Core, Request
from application.ports.event_store import EventFeed
from application.ports.participants import CallbackReader
from application.ports.system import Clock, Ids, PasswordHasher
from application.ports.transparency import TransparencyLog
from application.ports.views import Views
from application.sealing import IN_CLEAR, Opener
from interfaces.gateway.addresses import AllowedOrigins
from interfaces.gateway.hub import LiveHub
from interfaces.http.authentication import Authenticator
from interfaces.http.reading import ReadRecorder
from interfaces.settings import Settings


class Resource(Protocol):
    """Something that the app opens when it starts and closes when it ends."""

    async def open(self) -> None: ...

    async def close(self) -> None: ...


class CoreConnection(Core, Protocol):
    """The core over a connection that may be down."""

    @property
    def connected(self) -> bool: ...

    def submit(self, request: Request, done: Callable[[Any], None]) -> None:
        """As `execute`, without a future and a coroutine for each of thousands of messages;
        `done` is told the `Receipt`, or the `KefuError`.
        """


class ScrubFinding(Protocol):
    """Damage, and when it was found."""

    @property
    def finding(self) -> msgspec.Struct:
        """Segment, offset, position, code and reason."""


class ScrubState(Protocol):
    """What the log's scrubber has seen."""

    @property
    def last_full_pass_us(self) -> int:
        """In us since 1970; 0: none yet."""

    @property
    def findings(self) -> Sequence[ScrubFinding]:
        """What was still so when it last looked."""


@dataclass(frozen=True)
class WebDependencies:
    """Everything that the web role's routes use."""

    settings: Settings
    core: CoreConnection
    views: Views
    feed: EventFeed
    hub: LiveHub
    authenticator: Authenticator
    clock: Clock
    ids: Ids
    passwords: PasswordHasher
    widget_secret: bytes
    gather_metrics: Callable[[], bytes]
    resources: Sequence[Resource]
    scrub_state: Callable[[], ScrubState | None] = lambda: None
    """What the log's scrubber wrote last; None: it has not looked yet."""
    audit: TransparencyLog | None = None
    """None: a test without one."""
    opener: Opener = IN_CLEAR
    """Opens personal fields for those who may see them."""
    archive_state: Callable[[], str] = lambda: "off"
    """`off`, `ok`, `failing` or `retention-blocked`."""
    callback_readers: Mapping[str, CallbackReader] = field(default_factory=dict)
    """Provider (`payment`, `erp`) -> who checks and reads what it reports by itself."""

    @cached_property
    def reads(self) -> ReadRecorder:
        """Writes auditors' reads into the log."""
        return ReadRecorder(self.core, self.clock)

    @cached_property
    def origins(self) -> AllowedOrigins:
        """Of the pages that may open `/ws`."""
        return AllowedOrigins(self.settings.allowed_origins)


def dependencies(connection: HTTPConnection) -> WebDependencies:
    """The app's dependencies, for routes."""
    found: WebDependencies = connection.app.state.dependencies
    return found


Deps = Annotated[WebDependencies, Depends(dependencies)]
