"""How often a role's process looks for cyclic garbage."""

import gc
from typing import Final

_YOUNG_OBJECTS: Final = 50_000
"""Python's default of 700 is far below what is alive at once with a thousand messages under way
(each has a future, a callback, a receipt): every look finds them all alive, and moves them to the
older generations, whose collections then walk every connection and cached state. Measured in turn
with `benchmarks.command_path` (1,000 connections, 2 cores): 29-35 CPU-s for 100,000 messages with
the default, 20-24 with this, and about half the p99.
"""


def collect_less_often() -> None:
    """Call first in a role's process. The older generations keep Python's own pace."""
    _, middle, old = gc.get_threshold()
    gc.set_threshold(_YOUNG_OBJECTS, middle, old)
