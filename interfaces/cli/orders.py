"""`kefu orders`: orders that refunds are made of, through the running core."""

import asyncio
from typing import Annotated

import typer

from application.commands.order import RegisterOrder
from application.queries.core import FindOrder
from domain import money
from domain.order.order import Order
from interfaces import refund_shapes
from interfaces.cli.core import execute, query
from interfaces.cli.options import AsJson, DataDir, settings_for
from interfaces.cli.output import out, print_json

app = typer.Typer(
    name="orders",
    help="Orders that refunds are made of; kefu must be running.",
    no_args_is_help=True,
    add_completion=False,
)
Reference = Annotated[str, typer.Argument(help="The order's number in your own system.")]


@app.command()
def register(
    reference: Reference,
    total: Annotated[str, typer.Argument(help="What was paid, for example 99.00.")],
    currency: Annotated[str, typer.Argument(help="A code of ISO 4217, for example CNY.")],
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Make an order known; its total stays."""
    command = RegisterOrder(reference, money.parse(total, currency, "total"), currency)
    asyncio.run(execute(settings_for(data_dir), command))
    show(reference, data_dir, as_json)


@app.command()
def show(reference: Reference, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """What of an order is refunded, reserved and left."""
    found: Order = asyncio.run(query(settings_for(data_dir), FindOrder(reference)))
    shape = refund_shapes.order(found)
    if as_json:
        print_json(shape)
        return
    for key in ("reference", "total", "reserved", "paid", "available"):
        unit = "" if key == "reference" else f" {found.currency}"
        out.print(f"{key}: {shape[key]}{unit}", markup=False, highlight=False)
    if found.cancellation_id is not None:
        out.print("cancelled" if found.cancelled else "being cancelled")
