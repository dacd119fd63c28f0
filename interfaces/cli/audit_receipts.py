"""`kefu audit prove` and `verify-receipt`."""

from pathlib import Path
from typing import Annotated

import typer

from interfaces import shapes
from interfaces.bootstrap import audit_operations
from interfaces.cli.options import AsJson, DataDir, settings_for
from interfaces.cli.output import fail, out, print_json

_WAIT_S = 5.0


def prove(
    event: Annotated[str, typer.Argument(help="Its position, which is its CloudEvent id too.")],
    data_dir: DataDir = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Where to; `-` prints it. [event-N.tlog-proof]"),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Write the receipt of an event, which proves that the log holds it."""
    if not (event.isascii() and event.isdigit()) or not 0 < int(event) < 2**63:
        raise fail(f"{event} is no event: give its position", 2)
    position = int(event)
    receipt = audit_operations.prove(settings_for(data_dir), position, _WAIT_S)
    if output == Path("-"):
        typer.echo(receipt.decode(), nl=False)
        return
    path = output or Path(f"event-{position}.tlog-proof")
    path.write_bytes(receipt)
    if as_json:
        print_json({"position": position, "file": str(path)})
    else:
        out.print(f"{path} proves event {position}", markup=False, highlight=False)


def verify_receipt(
    file: Annotated[Path, typer.Argument(help="The receipt.")],
    key: Annotated[str, typer.Option(help="The verifier key that you have pinned.")],
    event: Annotated[
        Path | None,
        typer.Option(help="The event, a line of `kefu log export --sealed`, to compare with."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Check a receipt, without server and data directory; exit 1 if it proves nothing."""
    found = audit_operations.verify_receipt(file, key, event)
    if as_json:
        print_json(found)
        return
    out.print(
        f"proven by {found.origin}, by its checkpoint of {found.size:,} events:\n"
        f"  event {found.position}: {found.stream} @{found.version} {found.type}\n"
        f"  recorded {shapes.time(found.recorded_us)}\n"
        f"  metadata SHA-256 {found.metadata_sha256}\n"
        f"  payload  SHA-256 {found.payload_sha256}",
        markup=False,
        highlight=False,
    )
    if found.event_checked:
        out.print("the given event is this one")
