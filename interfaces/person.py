"""What is held about a person, as JSON and as a page that the person can read."""

from html import escape
from typing import Any

import msgspec

from application.queries.subject import HeldConversation, HeldData, HeldEvent
from interfaces import shapes

_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}"
    "table{border-collapse:collapse;width:100%}td,th{text-align:left;vertical-align:top;"
    "padding:.3rem .6rem;border-bottom:1px solid #ddd;overflow-wrap:anywhere}"
    "td.said{white-space:pre-wrap}code{font-size:.85em}"
)


def as_json(held: HeldData) -> dict[str, Any]:
    """The whole of it."""
    contact = held.contact
    return {
        "contact": {
            "id": contact.id,
            "identifier": contact.identifier,
            "name": contact.name,
            "email": contact.email,
            "verified": contact.verified,
            "erased": contact.erased,
        },
        "conversations": [_conversation(one) for one in held.conversations],
        "sessions": held.sessions,
        "events": [_event(one) for one in held.events],
        "position": held.position,
    }


def as_html(held: HeldData) -> str:
    """One page without scripts, links or pictures."""
    contact = held.contact
    facts = [
        ("Name", contact.name),
        ("Email", contact.email),
        ("Identifier", contact.identifier),
        ("Number here", contact.id),
        ("Identity proved", "yes" if contact.verified else "no"),
        ("Sessions", str(len(held.sessions))),
    ]
    parts = [
        '<!doctype html><html lang="en"><meta charset="utf-8">',
        f"<title>What is held about you</title><style>{_STYLE}</style>",
        "<h1>What is held about you</h1>",
        _table((name, value if value is not None else "not known") for name, value in facts),
    ]
    for one in held.conversations:
        parts.append(f"<h2>Conversation <code>{escape(one.conversation.id)}</code></h2>")
        labels = ", ".join(one.conversation.labels) or "none"
        parts.append(f"<p>{escape(one.conversation.status.value)}; labels: {escape(labels)}</p>")
        parts.append(_table(_said(one), said=True))
    parts.append("<h2>Every record of it</h2>")
    parts.append(_table(map(_row, held.events)))
    return "\n".join(parts) + "\n</html>\n"


def _conversation(one: HeldConversation) -> dict[str, Any]:
    state = one.conversation
    return {
        "id": state.id,
        "channel": state.channel,
        "status": state.status.value,
        "labels": list(state.labels),
        "read": dict(state.read),
        "delivered": dict(state.delivered),
        "legal_hold": state.legal_hold,
        "messages": [
            {
                "seq": said.seq,
                "message_id": said.message.id,
                "author": shapes.author(said.message.author) if said.message.author else None,
                "content": said.message.content,
                "private": said.message.private,
                "edited": said.message.edited,
                "recalled": said.message.recalled,
                "sent_at": shapes.time(said.sent_us),
            }
            for said in one.messages
        ],
    }


def _event(one: HeldEvent) -> dict[str, Any]:
    return {
        "position": one.position,
        "time": shapes.time(one.recorded_us),
        "stream": one.stream,
        "version": one.version,
        "type": one.type,
        "actor": one.actor,
        "data": one.data,
        "erased": one.erased,
    }


def _said(one: HeldConversation) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    for said in one.messages:
        author = said.message.author
        who = "" if author is None else author.name or author.kind.value
        text = "(recalled)" if said.message.recalled else said.message.content
        rows.append((shapes.time(said.sent_us), who + (", note" * said.message.private), text))
    return rows


def _row(one: HeldEvent) -> tuple[str, ...]:
    data = msgspec.json.encode(one.data).decode()
    return (str(one.position), shapes.time(one.recorded_us), one.type, one.actor, data)


def _table(rows: Any, *, said: bool = False) -> str:
    lines = []
    for row in rows:
        *first, last = (escape(cell) for cell in row)
        cells = "".join(f"<td>{cell}</td>" for cell in first)
        kind = ' class="said"' if said else ""
        lines.append(f"<tr>{cells}<td{kind}>{last}</td></tr>")
    return f"<table>{''.join(lines)}</table>"
