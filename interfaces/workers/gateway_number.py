"""Which of a machine's gateways a process is."""

import os
import socket
from typing import Final

NUMBER_VARIABLE: Final = "KEFU_GATEWAY_NUMBER"
"""From 1; the supervisor says it."""


def process_name() -> str:
    """`gateway-1` and so on."""
    return f"gateway-{os.environ.get(NUMBER_VARIABLE, '1')}"


def remote_process_name() -> str:
    """`gateway-1@host` and so on: of a gateway whose numbers stand beside other machines'."""
    host = "".join(
        sign for sign in socket.gethostname() if "!" <= sign <= "~" and sign not in '"\\'
    )
    return f"{process_name()}@{host[:64]}"
