"""`kefu sandbox`: a payment provider and an ERP to try things with."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from interfaces.bootstrap import sandbox as bootstrap


class Settle(StrEnum):
    """When payments are settled."""

    SYNC = "sync"
    ASYNC = "async"


app = typer.Typer(add_completion=False)


@app.command()
def sandbox(
    data_dir: Annotated[Path, typer.Option(help="Directory of its ledger.")] = Path("sandbox-data"),
    host: Annotated[
        str, typer.Option(help="Address to listen on; others than this machine's can pay with it.")
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(help="Port to listen on; 0: any free one.", min=0, max=65_535)
    ] = 8090,
    settle: Annotated[
        Settle, typer.Option(help="Payments are settled at once, or later with a callback.")
    ] = Settle.SYNC,
    settle_after_s: Annotated[
        float, typer.Option(help="With --settle async: after so many seconds.", min=0)
    ] = 1.0,
    callback_url: Annotated[
        str | None, typer.Option(help="Where callbacks go (Standard Webhooks).")
    ] = None,
    callback_secret_file: Annotated[
        Path | None, typer.Option(help="File with the secret that signs them, `whsec_...`.")
    ] = None,
) -> None:
    """Run a payment provider and an ERP that are not real, with faults on demand."""
    bootstrap.run(
        data_dir=data_dir,
        host=host,
        port=port,
        settle_after_s=settle_after_s if settle is Settle.ASYNC else None,
        callback_url=callback_url,
        callback_secret_file=callback_secret_file,
        ready=lambda url: typer.echo(f"kefu sandbox ready: {url}"),
    )
