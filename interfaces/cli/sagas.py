"""`kefu sagas`: which there are, how far each is, and what a person decides about a parked one."""

import asyncio
from typing import Annotated, Any

import typer
from rich.table import Table

from application.commands.saga import OperateSaga
from application.ports.event_store import RecordedEvent
from application.ports.refund_views import SagaFilter, SagaRow
from application.ports.views import Page
from application.queries.saga_life import SagaLife, saga_life
from application.sagas.all import definitions
from domain.saga.events import OperatorAction
from domain.saga.state import Status
from interfaces import refund_shapes
from interfaces.bootstrap import clients, keys, past_operations
from interfaces.bootstrap.views import views
from interfaces.cli.core import execute
from interfaces.cli.options import AsJson, DataDir, settings_for
from interfaces.cli.output import out, print_json
from interfaces.settings import Settings

app = typer.Typer(
    name="sagas",
    help="Refunds and other sagas under way; what a person decides needs a running kefu.",
    no_args_is_help=True,
    add_completion=False,
)
SagaId = Annotated[str, typer.Argument(help="The saga's id; a refund's saga has the refund's.")]
Reason = Annotated[str, typer.Option(help="Why; kept in the log for ever: name nobody.")]


@app.command("list")
def list_sagas(
    status: Annotated[Status | None, typer.Option(help="Only these.")] = None,
    definition: Annotated[str | None, typer.Option(help="`refund` or `cancellation`.")] = None,
    older_than_s: Annotated[int | None, typer.Option(help="Begun so long ago.", min=0)] = None,
    limit: Annotated[int, typer.Option(help="At most so many.", min=1, max=100_000)] = 100,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Sagas, oldest first, from the views; exit 1 if one of them is parked."""
    now_us = clients.clock().now_us()
    until_us = None if older_than_s is None else now_us - older_than_s * 1_000_000
    wanted = SagaFilter(status, definition, None, until_us)
    found = asyncio.run(_list(settings_for(data_dir), wanted, limit))
    rows = [refund_shapes.saga(row, now_us) for row in found.data]
    if as_json:
        print_json(rows)
    else:
        table = Table("saga", "definition", "status", "step", "attempts", "age s", "waits for")
        for row in rows:
            age = f"{row['age_s']:,}"
            step, attempts = row["step"] or "", str(row["attempts"])
            kind = f"{row['definition']} {row['version']}"
            table.add_row(row["id"], kind, row["status"], step, attempts, age, _waits(row))
        out.print(table)
        if found.after_cursor is not None:
            out.print(f"there are more; these are the oldest {limit}")
    if any(row["parked"] for row in rows):
        raise typer.Exit(1)


@app.command()
def show(saga: SagaId, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """One saga: its steps, and everything that has happened to it, straight from the log."""
    settings = settings_for(data_dir)
    life = asyncio.run(_life(settings, saga))
    opener = keys.opener(settings)

    def data(recorded: RecordedEvent) -> dict[str, Any]:
        return opener.fields(recorded).fields

    found = refund_shapes.whole_saga(life, definitions(), clients.clock().now_us(), data)
    if as_json:
        print_json(found)
        return
    _print(f"{found['definition']} {found['version']} {found['id']}: {found['status']}")
    _print(f"begun {found['started_at']}, {_waits(found) or 'waits for nothing'}")
    table = Table("step", "kind", "state", "attempts", "reference", "key")
    for step in found["steps"]:
        words = [step["name"], step["kind"], step["state"], str(step["attempts"])]
        table.add_row(*words, step["reference"] or "", step["key"] or "")
    out.print(table)
    for one in found["timeline"]:
        actor = one["actor"]
        who = actor["name"] or actor["id"]
        _print(f"{one['position']:>9}  {one['at']} {who}: {one['text']['en']}")


@app.command()
def retry(saga: SagaId, reason: Reason, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Try again what it is parked at."""
    _operate(OperatorAction.RETRY, saga, reason, None, data_dir, as_json)


@app.command()
def skip(saga: SagaId, reason: Reason, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Leave out what it is parked at, and go on."""
    _operate(OperatorAction.SKIP, saga, reason, None, data_dir, as_json)


@app.command("force-compensate")
def force_compensate(
    saga: SagaId, reason: Reason, data_dir: DataDir = None, as_json: AsJson = False
) -> None:
    """Give it up, and undo what was done."""
    _operate(OperatorAction.FORCE_COMPENSATE, saga, reason, None, data_dir, as_json)


@app.command("mark-settled")
def mark_settled(
    saga: SagaId,
    reason: Reason,
    reference: Annotated[str, typer.Option(help="The provider's own id of what it did.")],
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Say that what it is parked at was done: you have seen it at the provider."""
    _operate(OperatorAction.MARK_SETTLED, saga, reason, reference, data_dir, as_json)


def _operate(
    action: OperatorAction,
    saga: str,
    reason: str,
    reference: str | None,
    data_dir: Any,
    as_json: bool,
) -> None:
    command = OperateSaga(saga, action, reason, reference)
    receipt = asyncio.run(execute(settings_for(data_dir), command))
    if as_json:
        print_json({**receipt.result, "position": receipt.position})
    else:
        _print(f"{action.value}: the saga {saga} is {receipt.result['status']}")


async def _list(settings: Settings, wanted: SagaFilter, limit: int) -> Page[SagaRow]:
    read_side = views(settings)
    await read_side.open()
    try:
        return await read_side.sagas(wanted, limit, None)
    finally:
        await read_side.close()


async def _life(settings: Settings, saga: str) -> SagaLife:
    async with past_operations.streams(settings, lambda done, total: None) as streams:
        return await saga_life(streams, keys.opener(settings), saga)


def _waits(row: dict[str, Any]) -> str:
    parked = row["parked"]
    if parked is not None:
        actions = ", ".join(parked["next_actions"])
        return f"parked ({parked['reason']}): {actions}"
    overdue = "overdue, " if row["overdue"] else ""
    return "" if row["next_timer_at"] is None else f"{overdue}next {row['next_timer_at']}"


def _print(line: str) -> None:
    out.print(line, markup=False, highlight=False)
