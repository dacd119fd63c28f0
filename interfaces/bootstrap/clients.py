"""What processes other than the core have: the core over its socket, and the machine."""

from application.ports.system import Clock, Ids
from infrastructure.ipc.client import CoreClient
from infrastructure.system import SystemClock, SystemIds
from infrastructure.system.private_files import make_private
from interfaces.settings import Settings


def core_client(settings: Settings) -> CoreClient:
    """The core, over its socket."""
    if settings.socket_dir.exists():
        make_private(settings.socket_dir)
    return CoreClient(settings.core_socket)


def clock() -> Clock:
    """The machine's clock."""
    return SystemClock()


def ids() -> Ids:
    """New identifiers and secrets."""
    return SystemIds()
