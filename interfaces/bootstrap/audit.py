"""The parts of the role `audit`, and what others see of it."""

import time
from collections.abc import Iterator
from typing import Final

from prometheus_client.core import Metric

from application.ports.transparency import TransparencyLog
from domain.errors import Unavailable
from infrastructure.system.private_files import make_private
from infrastructure.telemetry import audit_collectors, collectors
from infrastructure.telemetry.metrics_socket import MetricsServer
from infrastructure.transparency.files import AuditFiles, signer
from infrastructure.transparency.follower import TreeFollower
from infrastructure.transparency.push import Pusher, pushers
from infrastructure.transparency.service import AuditService
from infrastructure.transparency.timestamping import to_authority
from interfaces.settings import Settings

_FIRST_LOG_S: Final = 30.0
_LOOK_S: Final = 0.05


def audit_files(settings: Settings) -> AuditFiles:
    """Where everything is."""
    return AuditFiles.under(settings.data_dir, settings.audit_key)


def follower(settings: Settings) -> TreeFollower:
    """The builder over the log's files; waits for the core to make the log at a first start.

    Raises:
        Unavailable: there is none yet.
        BadKey: the key is no Ed25519 key.
    """
    files = audit_files(settings)
    deadline = time.monotonic() + _FIRST_LOG_S
    while True:
        try:
            signing = signer(files, settings.audit_origin)
            break
        except FileNotFoundError:
            if time.monotonic() > deadline:
                raise Unavailable(f"There is no log in {files.log} yet.") from None
            time.sleep(_LOOK_S)
    targets = pushers(settings.audit_push_paths, settings.audit_push_url)
    if settings.audit_tsa_url is not None:
        stamp = to_authority(settings.audit_tsa_url, settings.data_dir / "timestamps")
        targets.append(Pusher("tsa", stamp, settings.audit_tsa_s))
    found = TreeFollower(
        files, signing, settings.audit_checkpoint_s, targets, settings.audit_processes
    )

    def families() -> Iterator[Metric]:
        yield from audit_collectors.audit_families(found.stats)
        yield from audit_collectors.push_families(found.targets)

    render = collectors.renderer(families)
    MetricsServer(make_private(settings.socket_dir), "audit", render).start()
    return found


def transparency_log(settings: Settings) -> TransparencyLog:
    """What the web role serves."""
    return AuditService(audit_files(settings))
