"""`kefu privacy`: what is held about a person, erasing it, legal holds, the keys behind it."""

import asyncio
import contextlib
import os
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from application.commands.privacy import EraseContact, LiftLegalHold, PlaceLegalHold
from application.ports.erasure import SignedCertificate
from application.queries.core import ErasureOf
from application.queries.holds import legal_holds
from application.queries.subject import held_data
from interfaces import person, shapes
from interfaces.bootstrap import keys, log_operations
from interfaces.cli.core import execute, query
from interfaces.cli.options import AsJson, DataDir, settings_for
from interfaces.cli.output import err, fail, out, print_json, progress_bar

app = typer.Typer(
    name="privacy",
    help="What is held about a person, erasing it, legal holds, and keys.",
    no_args_is_help=True,
    add_completion=False,
)
Contact = Annotated[str, typer.Argument(help="The contact's id.")]
Conversation = Annotated[str, typer.Argument(help="The conversation's id.")]


@app.command()
def erase(
    contact: Contact,
    reason: Annotated[
        str, typer.Option(help="Kept in the log for ever: name nobody.")
    ] = "The contact asked for it.",
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    data_dir: DataDir = None,
) -> None:
    """Make everything personal of a contact unreadable, for good; prints the certificate."""
    settings = settings_for(data_dir)
    if not yes:
        err.print(f"Everything personal of the contact {contact} becomes unreadable, for good.")
        if not typer.confirm("Erase it?", err=True):
            raise fail("nothing was erased", 1)
    asyncio.run(execute(settings, EraseContact(contact, reason)))
    _print_certificate(asyncio.run(query(settings, ErasureOf(contact))))


@app.command()
def certificate(contact: Contact, data_dir: DataDir = None) -> None:
    """Print the certificate of an erasure again."""
    _print_certificate(asyncio.run(query(settings_for(data_dir), ErasureOf(contact))))


@app.command()
def export(
    contact: Contact,
    output: Annotated[
        Path | None,
        typer.Option(help="Directory for person.json and person.html; else JSON is printed."),
    ] = None,
    data_dir: DataDir = None,
) -> None:
    """Everything that is held about a contact, for the person itself."""
    settings = settings_for(data_dir)
    with (
        contextlib.closing(log_operations.feed(settings)) as feed,
        progress_bar("read", quiet=output is None) as progress,
    ):
        held = held_data(feed, keys.opener(settings), contact, progress)
    if output is None:
        print_json(person.as_json(held))
        return
    output.mkdir(mode=0o700, parents=True, exist_ok=True)
    text = msgspec.json.format(msgspec.json.encode(person.as_json(held)), indent=2)
    _write(output / "person.json", text + b"\n")
    _write(output / "person.html", person.as_html(held).encode())
    out.print(f"{len(held.events):,} events about {contact} in {output}", markup=False)


@app.command()
def hold(
    conversation: Conversation,
    reason: Annotated[str, typer.Option(help="Kept in the log for ever: name nobody.")],
    data_dir: DataDir = None,
) -> None:
    """Keep a conversation as evidence: its contact can't be erased until it is released."""
    asyncio.run(execute(settings_for(data_dir), PlaceLegalHold(conversation, reason)))
    out.print(f"{conversation} is held", markup=False)


@app.command()
def release(conversation: Conversation, data_dir: DataDir = None) -> None:
    """Lift the legal hold on a conversation."""
    asyncio.run(execute(settings_for(data_dir), LiftLegalHold(conversation)))
    out.print(f"{conversation} is not held any more", markup=False)


@app.command()
def holds(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """List the legal holds that stand, the oldest first; kefu need not run."""
    with contextlib.closing(log_operations.feed(settings_for(data_dir))) as feed:
        found = legal_holds(feed)
    if as_json:
        print_json(found)
        return
    for one in found:
        moment = shapes.time(one.placed_us)
        text = f"{one.conversation_id}  {moment}  {one.placed_by}  {one.reason}"
        out.print(text, markup=False, soft_wrap=True)


@app.command("rotate-master-key")
def rotate_master_key(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Wrap the keys of all contacts with another master key; kefu may run meanwhile."""
    settings = settings_for(data_dir)
    with progress_bar("wrap", quiet=as_json) as progress:
        report = keys.rotate_master_key(settings, progress)
    if as_json:
        print_json(report)
        return
    out.print(
        f"master key {report.master_key_id} wraps all keys; {report.rewrapped:,} were wrapped anew"
    )


def _print_certificate(found: SignedCertificate) -> None:
    print_json(found)


def _write(path: Path, data: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
