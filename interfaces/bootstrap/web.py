"""The web role's parts."""

from collections.abc import Mapping

from application.ports.participants import CallbackReader
from infrastructure.eventlog.archive.service import archive_state
from infrastructure.eventlog.reader import LogReader
from infrastructure.eventlog.scrubber import read_state
from infrastructure.system.private_files import read_or_make_secret
from infrastructure.telemetry.metrics_socket import gather
from interfaces.bootstrap.audit import transparency_log
from interfaces.bootstrap.clients import clock, core_client, ids
from interfaces.bootstrap.keys import opener
from interfaces.bootstrap.live_bus import live_bus
from interfaces.bootstrap.passwords import password_hasher
from interfaces.bootstrap.views import views
from interfaces.gateway.hub import LiveHub
from interfaces.http.authentication import Authenticator
from interfaces.http.dependencies import WebDependencies
from interfaces.settings import Settings


def web_dependencies(settings: Settings) -> WebDependencies:
    """Everything that routes and sessions need; opened and closed by the app's lifespan."""
    core, postgres = core_client(settings), views(settings)
    authenticator = Authenticator(core, clock())
    live = LogReader(settings.log_dir)
    opened = opener(settings)
    hub = LiveHub(live, postgres, authenticator, live_bus(settings), opened)
    return WebDependencies(
        settings=settings,
        core=core,
        views=postgres,
        feed=LogReader(settings.log_dir),
        hub=hub,
        authenticator=authenticator,
        clock=clock(),
        ids=ids(),
        passwords=password_hasher(),
        widget_secret=_widget_secret(settings),
        gather_metrics=lambda: gather(settings.socket_dir),
        scrub_state=lambda: read_state(settings.log_dir),
        resources=(core, postgres),
        audit=transparency_log(settings),
        opener=opened,
        archive_state=lambda: archive_state(settings.log_dir),
        callback_readers=_callback_readers(settings),
    )


def _callback_readers(settings: Settings) -> Mapping[str, CallbackReader]:
    """Provider (`payment`, `erp`) -> who checks and reads what it reports by itself."""
    if settings.provider("payment") is None and settings.provider("erp") is None:
        return {}
    # Only then: it loads an HTTP client.
    from interfaces.bootstrap.participants import callback_readers

    return callback_readers(settings)


def _widget_secret(settings: Settings) -> bytes:
    """The key with which the company's server signs identifiers; made at the first start."""
    return read_or_make_secret(settings.widget_secret_file, ids().secret())
