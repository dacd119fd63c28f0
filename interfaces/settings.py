"""All settings: one frozen object, read once from the environment and passed down."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec

from domain.errors import InvalidInput

Value = str | int | float | None


class Setting(NamedTuple):
    """One row of the table in docs/howto/settings.md."""

    field: str
    variable: str
    default: Value
    text: str


SETTINGS: Final = (
    Setting("data_dir", "KEFU_DATA_DIR", "data", "Directory of log, keys and embedded Postgres."),
    Setting("host", "KEFU_HOST", "127.0.0.1", "Address to listen on."),
    Setting("port", "KEFU_PORT", 8000, "Port to listen on."),
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
    Setting("kafka_bootstrap", "KEFU_KAFKA_BOOTSTRAP", None, "Reserved for the Kafka mirror."),
    Setting("log_level", "KEFU_LOG_LEVEL", "info", "debug, info, warning or error."),
    Setting("queue_limit", "KEFU_QUEUE_LIMIT", 10_000, "Waiting commands before `busy`."),
    Setting("segment_mb", "KEFU_SEGMENT_MB", 200, "Size in MB at which a log segment is sealed."),
    Setting(
        "segment_age_s", "KEFU_SEGMENT_AGE_S", 7200.0, "Age in s at which a segment is sealed."
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
)


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Every setting; see `SETTINGS` for meanings and defaults."""

    data_dir: Path
    host: str
    port: int
    database_url: str | None
    admin_email: str
    admin_password: str | None
    kafka_bootstrap: str | None
    log_level: str
    queue_limit: int
    segment_mb: int
    segment_age_s: float
    login_per_minute: float
    sessions_per_minute: float
    agent_session_h: float
    visitor_session_d: float

    @property
    def log_dir(self) -> Path:
        """The event log."""
        return self.data_dir / "log"

    @property
    def run_dir(self) -> Path:
        """Sockets and locks of running processes."""
        return self.data_dir / "run"

    @property
    def core_socket(self) -> Path:
        """Where the core takes commands."""
        return self.run_dir / "core.sock"

    @property
    def url(self) -> str:
        """Where a browser on this machine finds kefu."""
        host = "127.0.0.1" if self.host in ("0.0.0.0", "::") else self.host
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}"

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
        default = "" if row.default is None else f"`{row.default}`"
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
    if not 0 < settings.port < 65536:
        raise InvalidInput("KEFU_PORT must be between 1 and 65535.")
    if settings.log_level not in ("debug", "info", "warning", "error"):
        raise InvalidInput("KEFU_LOG_LEVEL must be debug, info, warning or error.")
    for row in SETTINGS:
        value = getattr(settings, row.field)
        if isinstance(row.default, int | float) and value <= 0:
            raise InvalidInput(f"{row.variable} must be greater than 0.")
    url = settings.database_url
    if url is not None and not url.startswith(("postgresql://", "postgres://")):
        raise InvalidInput("KEFU_DATABASE_URL must begin with postgresql://.")
