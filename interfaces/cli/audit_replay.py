"""`kefu audit replay`: a conversation or a refund as it was, and the steps that led there."""

import asyncio
from contextlib import closing
from typing import Annotated, Any, Final

import typer

from application.ports.event_store import RecordedEvent
from application.queries.gathered import gather
from application.queries.history import conversation_as_of
from application.queries.life import LifeEvent, life
from application.queries.past_messages import messages_as_of
from application.queries.refund_life import refund_life
from domain import money
from domain.errors import InvalidInput
from interfaces import audit_shapes, refund_shapes, shapes
from interfaces.bootstrap import keys, past_operations
from interfaces.cli.log import stored_event
from interfaces.cli.options import AsJson, DataDir, settings_for
from interfaces.cli.output import out, print_json, progress_bar
from interfaces.settings import Settings

_ALL: Final = 1_000_000_000
_INDENT: Final = "\n" + " " * 6


def replay(
    conversation: Annotated[str | None, typer.Option(help="The conversation's id.")] = None,
    refund: Annotated[str | None, typer.Option(help="Or a refund's id.")] = None,
    until: Annotated[
        str | None, typer.Option(help="A position, or `2026-11-26T08:00:00Z`; without it: now.")
    ] = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """A conversation or a refund as it was, and every step that led there: who, what and why.

    Needs the files of the log and the keys alone; through a running core it is faster.
    """
    settings = settings_for(data_dir)
    with progress_bar("read the log", quiet=as_json, late=True) as progress:
        match conversation, refund:
            case str(), None:
                found = asyncio.run(_replay(settings, conversation, until, progress))
            case None, str():
                found = asyncio.run(_replay_refund(settings, refund, until, progress))
            case _:
                raise InvalidInput("give --conversation or --refund, one of them")
    if as_json:
        print_json(found)
    else:
        _show_refund(found) if conversation is None else _show(found)


async def _replay(settings: Settings, id: str, until: str | None, progress: Any) -> dict[str, Any]:
    with closing(past_operations.feed(settings)) as feed:
        position = _position(feed, until)
    opener = keys.opener(settings)
    async with past_operations.streams(settings, progress) as streams:
        gathered = await gather(streams, opener, id, position)
        row = conversation_as_of(gathered, id, position, None, opener)
        past = await messages_as_of(gathered, opener, id, position, limit=_ALL)
        steps = (await life(gathered, opener, id, limit=_ALL, up_to=position)).events

    def shown(event: RecordedEvent) -> dict[str, Any]:
        return stored_event(event, opener)

    return {
        "position": position,
        "time": shapes.time(steps[-1].recorded.recorded_us),
        "conversation": shapes.conversation(row),
        "assignee": _assignee(steps),
        "messages": [shapes.message(message) for message in past.rows],
        "steps": [audit_shapes.life_event(step, shown) for step in steps],
    }


async def _replay_refund(
    settings: Settings, id: str, until: str | None, progress: Any
) -> dict[str, Any]:
    with closing(past_operations.feed(settings)) as feed:
        position = _position(feed, until)
    opener = keys.opener(settings)
    async with past_operations.streams(settings, progress) as streams:
        found = await refund_life(streams, opener, id, position)

    def shown(event: RecordedEvent) -> dict[str, Any]:
        return stored_event(event, opener)

    refund, saga = found.refund, found.saga
    return {
        "position": position,
        "time": shapes.time(found.events[-1].recorded.recorded_us),
        "refund": {
            "id": refund.id,
            "status": refund.status,
            "conversation_id": refund.conversation_id,
            "order_reference": refund.order_reference,
            "amount": money.decimal(refund.amount_minor, refund.currency),
            "currency": refund.currency,
        },
        "saga": None if saga.definition is None else saga.status.value,
        "order": refund_shapes.order(found.order),
        "steps": [audit_shapes.life_event(step, shown) for step in found.events],
    }


def _position(feed: Any, until: str | None) -> int:
    durable: int = feed.durable_position()
    if until is None:
        return durable
    if until.isascii() and until.isdigit():
        return min(int(until), durable)
    try:
        return int(feed.position_at(shapes.parse_time(until)))
    except (ValueError, OverflowError):
        raise InvalidInput(
            f"--until {until}: give a position, or a time such as 2026-11-26T08:00:00Z"
        ) from None


def _assignee(steps: list[LifeEvent]) -> str | None:
    """The last one's name, as it was when the work was given."""
    names = [s.agent_name for s in steps if s.recorded.type.startswith("conversation.assigned.")]
    return names[-1] if names else None


def _show(found: dict[str, Any]) -> None:
    row = found["conversation"]
    contact = row["contact"]
    _print(f"conversation {row['id']} as of position {found['position']}, {found['time']}")
    assignee = "nobody" if row["assignee_id"] is None else found["assignee"] or row["assignee_id"]
    facts = {
        "status": row["status"],
        "assignee": assignee,
        "contact": contact["name"] or contact["identifier"] or contact["id"],
        "priority": row["priority"] or "none",
        "labels": ", ".join(row["labels"]) or "none",
        "unread": row["unread_count"],
    }
    _print("; ".join(f"{key} {value}" for key, value in facts.items()))
    _print("\nas it looked:")
    for message in found["messages"]:
        marks = [
            mark
            for mark, there in (
                ("private note", message["private"]),
                ("edited", message["edited_at"]),
                ("recalled", message["recalled_at"]),
            )
            if there
        ]
        author = message["author"]
        who = f"{author['name'] or author['kind']} ({author['kind']})"
        mark = f" [{', '.join(marks)}]" if marks else ""
        text = message["content"].replace("\n", _INDENT)
        _print(f"{message['seq']:>4}  {message['created_at']} {who}{mark}: {text}")
    _show_steps(found["steps"])


def _show_refund(found: dict[str, Any]) -> None:
    refund, order = found["refund"], found["order"]
    _print(f"refund {refund['id']} as of position {found['position']}, {found['time']}")
    _print(
        f"status {refund['status'].value}; {refund['amount']} {refund['currency']} of the order"
        f" {refund['order_reference']}; saga {found['saga'] or 'none'}"
    )
    _print(
        f"order: total {order['total']}, reserved {order['reserved']}, paid {order['paid']},"
        f" available {order['available']}"
    )
    _show_steps(found["steps"])


def _show_steps(steps: list[dict[str, Any]]) -> None:
    _print("\nhow it came about:")
    for step in steps:
        actor, why = step["actor"], step["why"]
        who = f"{actor['name'] or actor['id']} ({actor['kind']})"
        reason = f", because {why['reason']['en']}" if why["reason"] else ""
        _print(
            f"{step['position']:>9}  {step['time']} {who}"
            f" {step['what']['en']}{reason} <{why['correlation_id']}>"
        )


def _print(line: str) -> None:
    out.print(line, markup=False, highlight=False)
