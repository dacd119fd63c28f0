"""Settings of the transparency log."""

from typing import Final
from urllib.parse import urlsplit

from domain.errors import InvalidInput
from interfaces.link_settings import LinkSettings
from interfaces.setting import Setting

AUDIT_SETTINGS: Final = (
    Setting(
        "audit_key",
        "KEFU_AUDIT_KEY",
        None,
        "File with the Ed25519 key (PEM) that signs checkpoints; unset: `keys/audit-signing.key` "
        "under the data directory. Made if it is missing.",
    ),
    Setting(
        "audit_origin",
        "KEFU_AUDIT_ORIGIN",
        None,
        "Name of the transparency log in checkpoints, for example `audit.example.com/kefu`; "
        "unset: `kefu.local/` and the log's id. Never to be changed.",
    ),
    Setting(
        "audit_checkpoint_s",
        "KEFU_AUDIT_CHECKPOINT_S",
        5.0,
        "Time in s between two checkpoints while there are new events.",
        most=86_400,
    ),
    Setting(
        "audit_processes",
        "KEFU_AUDIT_PROCESSES",
        2,
        "Processes that catch up together when the tree is over 262,144 events behind, as when it "
        "is built anew; 1: the role's own alone.",
        most=64,
    ),
    Setting(
        "audit_push_files",
        "KEFU_AUDIT_PUSH_FILES",
        None,
        "Files (replaced) and directories (a file a checkpoint), divided by commas, that "
        "checkpoints are written to; best on another machine's disk.",
    ),
    Setting(
        "audit_push_url", "KEFU_AUDIT_PUSH_URL", None, "URL that checkpoints are sent to by POST."
    ),
    Setting(
        "audit_tsa_url",
        "KEFU_AUDIT_TSA_URL",
        None,
        "URL of a time-stamping authority (RFC 3161) for checkpoints; unset: none.",
    ),
    Setting(
        "audit_tsa_s",
        "KEFU_AUDIT_TSA_S",
        3600.0,
        "Least time in s between two time stamps.",
        most=10_000_000,
    ),
)


class AuditSettings(LinkSettings, frozen=True, kw_only=True):
    """See `AUDIT_SETTINGS` for meanings and defaults. A struct has one base: groups are a chain."""

    audit_key: str | None
    audit_origin: str | None
    audit_checkpoint_s: float
    audit_processes: int
    audit_push_files: str | None
    audit_push_url: str | None
    audit_tsa_url: str | None
    audit_tsa_s: float

    @property
    def audit_push_paths(self) -> list[str]:
        """Where checkpoints are written to."""
        return [path.strip() for path in (self.audit_push_files or "").split(",") if path.strip()]


def check_audit_settings(settings: AuditSettings) -> None:
    """Refuse what would fail later. Messages don't repeat the URL: a secret may be in it.

    Raises:
        InvalidInput: naming the variable.
    """
    origin = settings.audit_origin
    if origin is not None and ("+" in origin or any(map(str.isspace, origin))):
        raise InvalidInput("KEFU_AUDIT_ORIGIN must have no spaces and no +.")
    for name, given in (
        ("KEFU_AUDIT_PUSH_URL", settings.audit_push_url),
        ("KEFU_AUDIT_TSA_URL", settings.audit_tsa_url),
    ):
        url = urlsplit(given or "https://-")
        if url.scheme not in ("http", "https") or not url.netloc:
            raise InvalidInput(f"{name} must be an http(s) URL.")
    if any(not path.startswith("/") for path in settings.audit_push_paths):
        raise InvalidInput("KEFU_AUDIT_PUSH_FILES must be absolute paths, divided by commas.")
