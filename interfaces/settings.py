"""All settings: one frozen object, read once from the environment and passed down."""

import hashlib
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from domain.errors import InvalidInput
from interfaces.audit_settings import AUDIT_SETTINGS, check_audit_settings
from interfaces.connection_settings import CONNECTION_SETTINGS, check_connection_settings
from interfaces.key_settings import KEY_SETTINGS, check_key_settings
from interfaces.limit_settings import LIMIT_SETTINGS
from interfaces.link_settings import LINK_SETTINGS, check_link_settings
from interfaces.provider_settings import PROVIDER_SETTINGS, check_provider_settings
from interfaces.saga_settings import SAGA_SETTINGS, SagaSettings
from interfaces.setting import Setting, Value
from interfaces.settings_urls import check_archive, check_cluster

_MAX_SOCKET_PATH: Final = 103
"""unix(7): an address holds 107 bytes, and 103 on macOS."""
_LONGEST_SOCKET: Final = "metrics-automation.sock"

SETTINGS: Final = (
    Setting("data_dir", "KEFU_DATA_DIR", "data", "Directory of log, keys and embedded Postgres."),
    Setting("host", "KEFU_HOST", "127.0.0.1", "Address to listen on."),
    Setting("port", "KEFU_PORT", 8000, "Port to listen on.", most=65_535),
    Setting(
        "database_url",
        "KEFU_DATABASE_URL",
        None,
        "Postgres for the views; unset: the embedded one under the data directory.",
    ),
    Setting("admin_email", "KEFU_ADMIN_EMAIL", "admin@localhost", "First administrator's email."),
    Setting(
        "admin_password",
        "KEFU_ADMIN_PASSWORD",
        None,
        "First administrator's password; unset: a one-time password is printed at first start.",
    ),
    Setting(
        "cluster_url",
        "KEFU_CLUSTER_URL",
        None,
        "Valkey or Redis between several machines, `redis://user:password@host:port,host:port`, "
        "`rediss://` for TLS; unset: one machine.",
    ),
    Setting("kafka_bootstrap", "KEFU_KAFKA_BOOTSTRAP", None, "Reserved for the Kafka mirror."),
    Setting("log_level", "KEFU_LOG_LEVEL", "info", "debug, info, warning or error."),
    Setting("queue_limit", "KEFU_QUEUE_LIMIT", 10_000, "Waiting commands before `busy`."),
    Setting(
        "segment_mb",
        "KEFU_SEGMENT_MB",
        200,
        "Size in MB at which a log segment is sealed.",
        most=4096,
    ),
    Setting(
        "segment_age_s", "KEFU_SEGMENT_AGE_S", 7200.0, "Age in s at which a segment is sealed."
    ),
    Setting(
        "scrub_mb_per_s",
        "KEFU_SCRUB_MB_PER_S",
        4.0,
        "Speed in MB/s at which sealed segments are read again and checked; 0: never.",
        zero=True,
    ),
    Setting(
        "archive_url",
        "KEFU_ARCHIVE_URL",
        None,
        "Archive of sealed segments, `file:///path` or `s3://bucket/prefix`; unset: none.",
    ),
    Setting(
        "archive_s3_endpoint",
        "KEFU_ARCHIVE_S3_ENDPOINT",
        None,
        "URL of an S3-compatible store; unset: AWS.",
    ),
    Setting("archive_s3_region", "KEFU_ARCHIVE_S3_REGION", None, "Region of the bucket."),
    Setting(
        "archive_mb_per_s",
        "KEFU_ARCHIVE_MB_PER_S",
        20.0,
        "Most MB/s that archiving in the background reads and writes.",
    ),
    Setting(
        "archive_cache_mb",
        "KEFU_ARCHIVE_CACHE_MB",
        1024,
        "MB of archived segments that are kept here while they are read.",
    ),
    Setting(
        "retain_segments",
        "KEFU_RETAIN_SEGMENTS",
        16,
        "So many of the newest sealed segments stay here in any case.",
    ),
    Setting(
        "retain_hours",
        "KEFU_RETAIN_HOURS",
        720.0,
        "Archived segments stay here for so many hours, unless the disk gets full.",
    ),
    Setting(
        "retain_free_gb",
        "KEFU_RETAIN_FREE_GB",
        5.0,
        "With less free space in GB, archived segments go before their hours are over.",
    ),
    Setting(
        "login_per_minute",
        "KEFU_LOGIN_PER_MINUTE",
        10.0,
        "Log-ins a minute, for an email and for an address each.",
    ),
    Setting(
        "sessions_per_minute",
        "KEFU_SESSIONS_PER_MINUTE",
        60.0,
        "New visitor sessions a minute from one address.",
    ),
    Setting("agent_session_h", "KEFU_AGENT_SESSION_H", 12.0, "Life of an agent's session in h."),
    Setting(
        "visitor_session_d", "KEFU_VISITOR_SESSION_D", 30.0, "Life of a visitor's session in days."
    ),
    *KEY_SETTINGS,
    *LIMIT_SETTINGS,
    *CONNECTION_SETTINGS,
    *LINK_SETTINGS,
    *AUDIT_SETTINGS,
    *PROVIDER_SETTINGS,
    *SAGA_SETTINGS,
)


class Settings(SagaSettings, frozen=True, kw_only=True):
    """Every setting; see `SETTINGS` for meanings and defaults."""

    data_dir: Path
    host: str
    port: int
    gateways: str
    web_socket: str | None
    database_url: str | None
    admin_email: str
    admin_password: str | None
    cluster_url: str | None
    kafka_bootstrap: str | None
    log_level: str
    queue_limit: int
    segment_mb: int
    segment_age_s: float
    scrub_mb_per_s: float
    archive_url: str | None
    archive_s3_endpoint: str | None
    archive_s3_region: str | None
    archive_mb_per_s: float
    archive_cache_mb: int
    retain_segments: int
    retain_hours: float
    retain_free_gb: float
    login_per_minute: float
    sessions_per_minute: float
    agent_session_h: float
    visitor_session_d: float
    trusted_proxies: str
    proxy_protocol: str
    allowed_origins: str
    tls_certificate: str | None
    tls_key: str | None

    def __repr__(self) -> str:
        """Without the values, some of which are secrets."""
        return f"Settings(data_dir={str(self.data_dir)!r}, ...)"

    @property
    def log_dir(self) -> Path:
        """The event log."""
        return self.data_dir / "log"

    @property
    def cursor_dir(self) -> Path:
        """Cursors of readers outside, as files that hold back retention."""
        return self.data_dir / "cursors"

    @property
    def run_dir(self) -> Path:
        """Locks of running processes, and their sockets unless its path is too long."""
        return self.data_dir / "run"

    @property
    def socket_dir(self) -> Path:
        """Sockets of running processes: `run_dir`, or for a deep one a directory under /tmp."""
        if len(bytes(self.run_dir / _LONGEST_SOCKET)) <= _MAX_SOCKET_PATH:
            return self.run_dir
        digest = hashlib.sha256(bytes(self.data_dir)).hexdigest()[:16]
        return Path(tempfile.gettempdir()) / f"kefu-run-{os.getuid()}-{digest}"

    @property
    def core_socket(self) -> Path:
        """Where the core takes commands."""
        return self.socket_dir / "core.sock"

    @property
    def key_dir(self) -> Path:
        """Keys, which no backup of the log holds."""
        return self.data_dir / "keys"

    @property
    def widget_secret_file(self) -> Path:
        """The key with which the company's server signs identifiers."""
        return self.key_dir / "widget.secret"

    @property
    def url(self) -> str:
        """Where a browser on this machine finds kefu."""
        # A socket on :: takes no IPv4 (asyncio sets IPV6_V6ONLY).
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)
        scheme = "http" if self.tls_certificate is None else "https"
        return f"{scheme}://{f'[{host}]' if ':' in host else host}:{self.port}"

    @property
    def gateway_count(self) -> int:
        """Gateway processes of `kefu serve`."""
        if self.gateways == "auto":
            return max(1, len(os.sched_getaffinity(0)) // 2)
        return int(self.gateways)

    @property
    def web_socket_path(self) -> Path:
        """Where gateways find the web role."""
        return Path(self.web_socket) if self.web_socket else self.socket_dir / "web.sock"

    def environment(self) -> dict[str, str]:
        """The settings as environment variables, for child processes."""
        values = {row.variable: getattr(self, row.field) for row in SETTINGS}
        return {name: str(value) for name, value in values.items() if value is not None}


def load(environment: Mapping[str, str], **overrides: Value | Path) -> Settings:
    """Settings from the environment; an override that is not None wins.

    Raises:
        InvalidInput: a value is not what its setting takes; the message names the variable.
    """
    values: dict[str, Any] = {}
    for row in SETTINGS:
        given: Any = overrides.get(row.field)
        if given is None:
            given = environment.get(row.variable) or row.default
        values[row.field] = _convert(row, given)
    values["data_dir"] = Path(values["data_dir"]).absolute()
    settings = Settings(**values)
    _check(settings)
    return settings


def table() -> str:
    """The settings as a Markdown table."""
    lines = ["| variable | default | meaning |", "|---|---|---|"]
    for row in SETTINGS:
        default = "" if row.default in (None, "") else f"`{row.default}`"
        lines.append(f"| `{row.variable}` | {default} | {row.text} |")
    return "\n".join(lines) + "\n"


def _convert(row: Setting, value: Any) -> Any:
    if isinstance(value, str) and isinstance(row.default, int | float):
        try:
            return type(row.default)(value)
        except ValueError:
            raise InvalidInput(f"{row.variable} must be a number, not {value!r}.") from None
    return value


def _check(settings: Settings) -> None:
    for row in SETTINGS:
        value = getattr(settings, row.field)
        if not isinstance(row.default, int | float):
            continue
        # Not `<=`: nan is neither.
        if not 0 < value <= row.most and not (row.zero and value == 0):
            least = "0 or more" if row.zero else "more than 0"
            raise InvalidInput(f"{row.variable} must be {least} and at most {row.most:,.0f}.")
    if settings.log_level not in ("debug", "info", "warning", "error"):
        raise InvalidInput("KEFU_LOG_LEVEL must be debug, info, warning or error.")
    if not settings.host or any(sign.isspace() or sign in "[]/" for sign in settings.host):
        raise InvalidInput("KEFU_HOST must be an address or a host name, without port or brackets.")
    if len(settings.admin_password or "") > 1024:
        raise InvalidInput("KEFU_ADMIN_PASSWORD must have at most 1024 characters.")
    url = settings.database_url
    if url is not None and not url.startswith(("postgresql://", "postgres://")):
        raise InvalidInput("KEFU_DATABASE_URL must begin with postgresql://.")
    check_archive(settings.archive_url, settings.archive_s3_endpoint)
    check_cluster(settings.cluster_url)
    check_audit_settings(settings)
    check_provider_settings(settings)
    check_key_settings(settings)
    check_connection_settings(
        gateways=settings.gateways,
        trusted_proxies=settings.trusted_proxies,
        proxy_protocol=settings.proxy_protocol,
        allowed_origins=settings.allowed_origins,
        tls=(settings.tls_certificate, settings.tls_key),
    )
    check_link_settings(settings, gateways=settings.gateways, database_url=url)
