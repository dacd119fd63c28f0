"""Structured logs on standard error: for people on a terminal, JSON otherwise."""

import logging
import sys
from collections.abc import MutableMapping
from typing import Any, Final

import structlog
from structlog.typing import Processor

_SECRET_KEYS: Final = ("password", "token", "secret", "authorization", "cookie")
_HIDDEN: Final = "[hidden]"


def configure(role: str, level: str) -> None:
    """Set up structlog, and the standard library's logging for what libraries have to say."""

    def add_role(
        logger: Any, method: str, event: MutableMapping[str, Any]
    ) -> MutableMapping[str, Any]:
        event.setdefault("role", role)
        return event

    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        add_role,
        hide_secrets,
    ]
    rendering = _rendering(terminal=sys.stderr.isatty())
    structlog.configure(
        processors=[*shared, *rendering],
        wrapper_class=structlog.make_filtering_bound_logger(level.upper()),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *shared],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *rendering],
        )
    )
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)


def hide_secrets(
    logger: Any, method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """No value under a name that sounds like a secret is ever written, at any depth."""
    for key, value in event.items():
        event[key] = _HIDDEN if _is_secret(key) else _without_secrets(value)
    return event


def _rendering(*, terminal: bool) -> list[Processor]:
    if terminal:
        # Not the pretty tracebacks: they show local variables, and so secrets.
        plain = structlog.dev.plain_traceback
        return [structlog.dev.ConsoleRenderer(exception_formatter=plain)]
    return [
        structlog.processors.format_exc_info,
        structlog.processors.JSONRenderer(ensure_ascii=False),
    ]


def _is_secret(key: Any) -> bool:
    return any(secret in str(key).lower() for secret in _SECRET_KEYS)


def _without_secrets(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            key: _HIDDEN if _is_secret(key) else _without_secrets(inner)
            for key, inner in value.items()
        }
    if isinstance(value, list | tuple):
        return [_without_secrets(inner) for inner in value]
    return value
