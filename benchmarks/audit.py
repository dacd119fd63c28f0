"""The transparency log: how fast the tree is built from the log's files and verified, and what it
costs the writer when it is built beside it.

Events are those of commands: pairs that share their metadata, on a conversation and a new message.
The slowdown is measured in turns within one run, the builder being a process of its own that gives
way, as the role `audit` is. A mode is a name and what runs meanwhile; add others to `MODES`.
"""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any, Final

from application.ports.event_store import ANY_VERSION, NO_STREAM, NewEvent, StreamAppend
from benchmarks.report import hardware, parser, percentile, show
from infrastructure.eventlog.store import EventLog
from infrastructure.transparency.builder import TreeBuilder
from infrastructure.transparency.files import AuditFiles, read_state, signer
from infrastructure.transparency.signed_note import Checkpoint, open_checkpoint
from infrastructure.transparency.verifying import verify

EVENT_BYTES = 256
PAIRS_PER_CALL = 256
CONVERSATIONS = 1_000
ORIGIN = "bench.example/kefu"
_BUILDER = """
import sys
from pathlib import Path
from interfaces.workers.priority import give_way
from infrastructure.transparency.files import AuditFiles, signer
from infrastructure.transparency.follower import TreeFollower
give_way(19)
files = AuditFiles.under(Path(sys.argv[1]))
TreeFollower(files, signer(files, sys.argv[2]), 5.0).run(lambda: False)
"""


@contextmanager
def _tree(data: Path) -> Iterator[None]:
    command = [sys.executable, "-c", _BUILDER, str(data), ORIGIN]
    files = AuditFiles.under(data)
    with subprocess.Popen(command, start_new_session=True) as process:
        while read_state(files) is None:  # its imports are not what is measured
            time.sleep(0.01)
        yield
        process.kill()


def _plain(data: Path) -> AbstractContextManager[None]:
    return nullcontext()


MODES: Final[dict[str, Callable[[Path], AbstractContextManager[None]]]] = {
    "plain": _plain,
    "tree": _tree,
}
"""What runs beside the writer. `encrypted` and `encrypted_tree` belong here once there is
encryption."""


class _Events:
    """Batches of a command's two events each."""

    def __init__(self) -> None:
        self._number = 0

    def batches(self, pairs: int) -> list[list[StreamAppend]]:
        found = []
        for _ in range(pairs):
            self._number += 1
            number = self._number
            metadata = json.dumps(
                {
                    "actor_kind": "visitor",
                    "actor_id": f"01936e6e-0000-7000-8000-{number % CONVERSATIONS:012d}",
                    "correlation_id": f"01936e6e-1111-7000-8000-{number:012d}",
                }
            ).encode()
            payload = b"%012d" % number + b"x" * (EVENT_BYTES - 12)
            conversation = f"conversation-01936e6e-0000-7000-8000-{number % CONVERSATIONS:012d}"
            message = f"message-01936e6e-2222-7000-8000-{number:012d}"
            accepted = NewEvent("conversation.message_accepted.v1", payload, metadata)
            sent = NewEvent("message.sent.v1", payload, metadata)
            found.append(
                [
                    StreamAppend(conversation, ANY_VERSION, [accepted]),
                    StreamAppend(message, NO_STREAM, [sent]),
                ]
            )
        return found


def _build(files: AuditFiles) -> tuple[dict[str, Any], Checkpoint]:
    signing = signer(files, ORIGIN)
    builder = TreeBuilder(files, signing)
    builder.open()
    began, began_cpu = time.perf_counter(), time.process_time()
    while builder.advance():
        pass
    note = builder.checkpoint()
    elapsed, cpu = time.perf_counter() - began, time.process_time() - began_cpu
    builder.close()
    assert note is not None
    size = builder.stats.size
    result = {
        "leaves_per_s": round(size / elapsed),
        "leaves_per_cpu_s": round(size / cpu),
        "cpu_us_per_leaf": round(cpu / size * 1e6, 2),
    }
    return result, open_checkpoint(note, signing.verifier)


def _verify(files: AuditFiles, checkpoint: Checkpoint) -> dict[str, Any]:
    began, began_cpu = time.perf_counter(), time.process_time()
    report = verify(files, checkpoint, checkpoint)
    elapsed, cpu = time.perf_counter() - began, time.process_time() - began_cpu
    assert report.ok, report.findings[:3]
    return {
        "verify_events_per_s": round(report.events / elapsed),
        "verify_cpu_us_per_event": round(cpu / report.events * 1e6, 2),
    }


def _append(log: EventLog, events: _Events, seconds: float) -> float:
    written, elapsed = 0, 0.0
    while elapsed < seconds:
        batches = events.batches(PAIRS_PER_CALL)
        began = time.perf_counter()
        log.append_sync(batches)
        elapsed += time.perf_counter() - began
        written += 2 * PAIRS_PER_CALL
    return written / elapsed


def _slowdown(data: Path, seconds: float, rounds: int) -> dict[str, Any]:
    rates: dict[str, list[float]] = {mode: [] for mode in MODES}
    events = _Events()
    with EventLog.open(data / "log") as log:
        _append(log, events, 0.5)
        for _ in range(rounds):
            for mode, beside in MODES.items():
                with beside(data):
                    rates[mode].append(_append(log, events, seconds / rounds / len(MODES)))
    medians = {mode: percentile(found, 0.5) for mode, found in rates.items()}
    return {
        "append_slowdown": round(medians["plain"] / medians["tree"], 3),
        **{f"append_events_per_s_{mode}": round(rate) for mode, rate in medians.items()},
    }


def measure(folder: Path, events: int, seconds: float, rounds: int) -> dict[str, Any]:
    """All figures; `folder` is on the disk that is measured."""
    files = AuditFiles.under(folder / "built")
    with EventLog.open(files.log) as log:
        made = _Events()
        while log.durable_position < events:
            log.append_sync(made.batches(1_000))
    built, checkpoint = _build(files)
    return {
        **built,
        **_slowdown(folder / "beside", seconds, rounds),
        **_verify(files, checkpoint),
        "events": checkpoint.size,
        "event_bytes": EVENT_BYTES,
        "fsync_policy": "tiles before each checkpoint; the log before every acknowledgement",
        "hardware": hardware(),
    }


def main() -> None:
    """Measure and print."""
    options = parser(__doc__ or "", seconds=12.0)
    options.add_argument("--events", type=int, default=500_000, help="of the log that is built")
    options.add_argument("--rounds", type=int, default=4, help="turns of each mode")
    given = options.parse_args()
    sys.setswitchinterval(0.001)  # as the core process does
    with tempfile.TemporaryDirectory(prefix="kefu-bench-") as folder:
        result = measure(Path(folder), given.events, given.seconds, given.rounds)
    show("audit", result, as_json=given.json)


if __name__ == "__main__":
    main()
