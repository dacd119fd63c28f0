"""`kefu refunds`: how refunds are decided."""

import asyncio
from typing import Annotated

import typer

from application.commands.refund import SetRefundPolicy
from application.queries.streams import StreamReader
from application.sealing import Opener
from domain import money
from domain.refund.policy import POLICY, RefundPolicy
from interfaces import refund_shapes
from interfaces.bootstrap import keys, past_operations
from interfaces.cli.core import execute
from interfaces.cli.options import AsJson, DataDir, settings_for
from interfaces.cli.output import out, print_json
from interfaces.settings import Settings

app = typer.Typer(
    name="refunds",
    help="How refunds are decided.",
    no_args_is_help=True,
    add_completion=False,
)


@app.callback()
def _group() -> None:
    """Keeps `policy` a command of its own while it is the only one."""


@app.command()
def policy(
    currency: Annotated[str, typer.Argument(help="A code of ISO 4217, for example CNY.")],
    automatic_up_to: Annotated[
        str | None, typer.Option(help="Approved at once up to here; 0: never.")
    ] = None,
    four_eyes_above: Annotated[
        str | None, typer.Option(help="Above it somebody else than who asked must approve.")
    ] = None,
    agent_daily: Annotated[
        str | None, typer.Option(help="What one agent may approve in a day; `none`: no limit.")
    ] = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Show the policy of a currency, or change what the options name."""
    settings = settings_for(data_dir)
    money.check_currency(currency)
    found = asyncio.run(_policy(settings, currency))
    given = (automatic_up_to, four_eyes_above, agent_daily)
    if any(one is not None for one in given):
        found = _changed(found, *given)
        command = SetRefundPolicy(
            currency,
            found.automatic_up_to_minor,
            found.four_eyes_above_minor,
            found.agent_daily_minor,
        )
        asyncio.run(execute(settings, command))
    shape = refund_shapes.policy(found)
    if as_json:
        print_json(shape)
        return
    for key, value in shape.items():
        shown = "no limit" if value is None else value
        out.print(f"{key.replace('_', ' ')}: {shown}", markup=False, highlight=False)


def _changed(
    state: RefundPolicy, automatic: str | None, four_eyes: str | None, daily: str | None
) -> RefundPolicy:
    def minor(text: str | None, otherwise: int, field: str) -> int:
        return otherwise if text is None else money.parse_limit(text, state.id, field)

    limit = state.agent_daily_minor
    if daily is not None:
        limit = None if daily == "none" else money.parse_limit(daily, state.id, "agent_daily")
    return RefundPolicy(
        state.id,
        minor(automatic, state.automatic_up_to_minor, "automatic_up_to"),
        minor(four_eyes, state.four_eyes_above_minor, "four_eyes_above"),
        limit,
    )


async def _policy(settings: Settings, currency: str) -> RefundPolicy:
    async with past_operations.streams(settings, lambda done, total: None) as streams:
        return await _fold(streams, keys.opener(settings), currency)


async def _fold(streams: StreamReader, opener: Opener, currency: str) -> RefundPolicy:
    state = POLICY.initial(currency)
    async for recorded in streams.events([POLICY.stream(currency)]):
        state = POLICY.evolve(state, opener.decode(recorded))
    return state
