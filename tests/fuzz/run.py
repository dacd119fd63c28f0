"""Run a fuzz target without end, guided by coverage: `python -m tests.fuzz.run segment`.

What follows the target's name goes to libFuzzer: `-max_total_time=60`, `-runs=100000`. An input
that fails is written to `crash-...` in the current directory; put it into `tests/fuzz/corpus` under
a name that says what it found, and it is run in `make test` from then on.
"""

import shutil
import sys
import tempfile
from pathlib import Path

import atheris

CORPUS = Path(__file__).parent / "corpus"
LIMITS = ("-timeout=20", "-rss_limit_mb=1024", "-max_len=2048", "-len_control=0")


def main(arguments: list[str]) -> None:
    if not arguments or arguments[0] not in ("segment", "websocket"):
        sys.exit("usage: python -m tests.fuzz.run segment|websocket [libFuzzer options]")
    name, options = arguments[0], arguments[1:]
    with atheris.instrument_imports(include=["infrastructure.eventlog", "interfaces.gateway"]):
        from tests.fuzz import segments, websocket
    check = segments.Target().check if name == "segment" else websocket.check
    found = tempfile.mkdtemp(prefix=f"kefu-fuzz-{name}-")  # new inputs stay out of the repository
    shutil.copytree(CORPUS / name, found, dirs_exist_ok=True)
    print(f"the corpus grows in {found}", file=sys.stderr)
    atheris.Setup([sys.argv[0], *LIMITS, *options, found], check)
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1:])
