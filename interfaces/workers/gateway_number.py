"""Which of a machine's gateways a process is."""

import os
from typing import Final

NUMBER_VARIABLE: Final = "KEFU_GATEWAY_NUMBER"
"""From 1; the supervisor says it."""


def process_name() -> str:
    """`gateway-1` and so on."""
    return f"gateway-{os.environ.get(NUMBER_VARIABLE, '1')}"
