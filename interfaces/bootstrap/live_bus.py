"""What passes typing and presence between the processes that hold connections."""

from application.ports.live_bus import LiveBus
from infrastructure.ipc.mesh import MeshBus
from infrastructure.system.private_files import make_private
from interfaces.settings import Settings


def live_bus(settings: Settings) -> LiveBus:
    """Over the cluster if there is one, else between this machine's processes; not yet open."""
    if settings.cluster_url is None:
        return MeshBus(make_private(settings.socket_dir))
    # The library is loaded only where it is used.
    from infrastructure.valkey.bus import ValkeyBus

    return ValkeyBus(settings.cluster_url)
