"""A real role with something of its surroundings changed, for what no setting can change.

`KEFU_TEST_CLOCK_FILE`: a file with seconds that this process's clock is off by, read at each look.
`KEFU_TEST_NEWER_REFUND=1`: a kefu of a later release, whose refunds are of version 2, which tells
nobody when it has paid.
"""

import os
import sys
from pathlib import Path

from application.sagas import all as all_sagas
from application.sagas import refund
from application.sagas.definition import Definition, Definitions
from application.sagas.refund import RefundTiming
from infrastructure import system
from interfaces import settings as all_settings
from interfaces.bootstrap import core
from interfaces.cli import roles


def newer(timing: RefundTiming) -> Definition:
    """Version 2: without the notice."""
    old = refund.definition_v1(timing)
    return Definition(refund.NAME, 2, old.steps[:-1], old.after_failure)


def main() -> int:
    clock_file = os.environ.get("KEFU_TEST_CLOCK_FILE")
    if clock_file is not None:
        real = system.SystemClock.now_us

        def now_us(self: system.SystemClock) -> int:
            return real(self) + int(float(Path(clock_file).read_text()) * 1e6)

        system.SystemClock.now_us = now_us  # type: ignore[method-assign]
    if os.environ.get("KEFU_TEST_NEWER_REFUND"):

        def definitions(timing: RefundTiming = refund.DEFAULT_TIMING) -> Definitions:
            return Definitions(*all_sagas.definitions(timing), newer(timing))

        core.definitions = definitions
    return roles.run_role(sys.argv[1], all_settings.load(os.environ))


if __name__ == "__main__":
    sys.exit(main())
