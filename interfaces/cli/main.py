"""`kefu`: entry point of the command line and of the roles' processes."""

import os
import sys
from typing import NoReturn

from domain.errors import InvalidInput, KefuError
from interfaces import settings as settings_module


def main() -> None:
    """Run; errors of kefu's own and of the operating system become one line and a status."""
    try:
        _run(sys.argv[1:])
    except KeyboardInterrupt:
        _end("interrupted", 130)
    except InvalidInput as error:
        _end(error.detail, 2)
    except KefuError as error:
        _end(error.detail, 1)
    except OSError as error:
        what = error.strerror or str(error)
        where = "" if error.filename is None else f": {error.filename}"
        _end(what + where, 1)


def _run(arguments: list[str]) -> None:
    match arguments:
        case ["serve", "--role", role]:
            # As the command `serve` does. The command line's libraries would be a third of a core's
            # start, and while it starts, nothing is acknowledged.
            _load_structlog()
            from interfaces.cli.roles import run_role

            sys.exit(run_role(role, settings_module.load(os.environ)))
        case _:
            from interfaces.cli.app import app

            app(prog_name="kefu")


def _load_structlog() -> None:
    """Without rich, which it takes along for tracebacks that no role prints, and 0.1 s."""
    sys.modules["rich"] = None  # type: ignore[assignment]  # import system: "not found"
    import structlog  # noqa: F401

    del sys.modules["rich"]


def _end(message: str, status: int) -> NoReturn:
    from interfaces.cli.output import fail

    sys.exit(fail(message, status).exit_code)


if __name__ == "__main__":
    main()
