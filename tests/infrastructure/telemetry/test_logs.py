"""Logs are JSON lines off a terminal, whoever wrote them, and hold no secret."""

import json
import subprocess
import sys

from infrastructure.telemetry.logs import hide_secrets

_PROGRAM = """
import logging, threading
import structlog
from infrastructure.telemetry.logs import configure
configure("web", "info")
log = structlog.get_logger()
log.debug("too.quiet")
log.info("hello", 名="梅", password="hush")
thread = threading.Thread(target=lambda: log.warning("from.a.thread"))
thread.start()
thread.join()
logging.getLogger("psycopg.pool").warning("no %s", "connection")
try:
    token = "hush"
    raise ValueError("wrong")
except ValueError:
    log.exception("failed")
    logging.getLogger("uvicorn.error").exception("library failed")
"""


def test_every_line_off_a_terminal_is_json_with_role_level_and_time() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM], capture_output=True, text=True, check=True
    )
    assert done.stdout == ""
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert [line["event"] for line in lines] == [
        "hello",
        "from.a.thread",
        "no connection",
        "failed",
        "library failed",
    ]
    assert {line["role"] for line in lines} == {"web"}
    assert all(line["timestamp"].endswith("Z") for line in lines)
    assert [line["level"] for line in lines] == ["info", "warning", "warning", "error", "error"]
    assert (lines[0]["名"], lines[0]["password"]) == ("梅", "[hidden]")
    assert lines[2]["logger"] == "psycopg.pool"
    assert all("ValueError: wrong" in line["exception"] for line in lines[3:])
    assert "hush" not in done.stderr


def test_secrets_are_hidden_at_any_depth() -> None:
    event = {
        "event": "x",
        "headers": {"Authorization": "Bearer hush", "Host": "shop.example"},
        "list": [{"widget_secret": "hush"}, "plain"],
        "Set-Cookie": "hush",
    }
    assert hide_secrets(None, "info", event) == {
        "event": "x",
        "headers": {"Authorization": "[hidden]", "Host": "shop.example"},
        "list": [{"widget_secret": "[hidden]"}, "plain"],
        "Set-Cookie": "[hidden]",
    }
