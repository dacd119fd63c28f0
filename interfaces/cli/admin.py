"""`kefu admin`: people and keys, through the running core."""

import asyncio
import getpass
from typing import Annotated

import typer

from application.commands.access import IssueApiKey
from application.commands.agent import RegisterAgent, SetPassword
from application.queries.core import Credentials, FindCredentials
from domain.access.token import token_id
from domain.actors import Role, Scope
from interfaces.bootstrap import clients, passwords, started
from interfaces.cli.core import execute, query
from interfaces.cli.options import AsJson, DataDir, settings_for
from interfaces.cli.output import fail, out, print_json

app = typer.Typer(
    name="admin",
    help="People and keys; kefu must be running.",
    no_args_is_help=True,
    add_completion=False,
)


@app.command("create-agent")
def create_agent(
    email: Annotated[str, typer.Option(help="What the agent logs in with.")],
    name: Annotated[str, typer.Option(help="What customers see.")],
    role: Annotated[Role, typer.Option(help="What the agent may do.")] = Role.AGENT,
    ask_password: Annotated[
        bool, typer.Option("--ask-password", help="Ask for it instead of making a one-time one.")
    ] = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """A new agent; prints a one-time password."""
    settings = settings_for(data_dir)
    password = getpass.getpass() if ask_password else clients.ids().secret()[:20]
    hashed = passwords.password_hasher().hash(password)
    agent_id = clients.ids().new()
    command = RegisterAgent(agent_id, email, name, role, hashed, one_time=not ask_password)
    asyncio.run(execute(settings, command))
    answer = {"id": agent_id, "email": email, "role": role.value}
    _print(answer if ask_password else {**answer, "one_time_password": password}, as_json)


@app.command("reset-password")
def reset_password(
    email: Annotated[str, typer.Option(help="The agent's email.")],
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Give an agent a one-time password."""
    settings = settings_for(data_dir)
    found: Credentials | None = asyncio.run(query(settings, FindCredentials(email)))
    if found is None:
        raise fail(f"there is no agent with the email {email}", 1)
    password = clients.ids().secret()[:20]
    hashed = passwords.password_hasher().hash(password)
    asyncio.run(execute(settings, SetPassword(found.agent_id, hashed, one_time=True)))
    _print({"id": found.agent_id, "email": email, "one_time_password": password}, as_json)


@app.command("create-api-key")
def create_api_key(
    name: Annotated[str, typer.Option(help="What it is for.")],
    scope: Annotated[list[Scope], typer.Option(help="What it may do; give it several times.")],
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """A new API key; prints its token, which is shown here and never again."""
    secret = clients.ids().secret()
    command = IssueApiKey(token_id(secret), name, tuple(scope))
    asyncio.run(execute(settings_for(data_dir), command))
    _print({"id": token_id(secret), "name": name, "token": secret}, as_json)


@app.command("widget-secret")
def widget_secret(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """The key with which your server signs visitors' identifiers (HMAC-SHA256)."""
    secret = started.widget_secret(settings_for(data_dir)).decode()
    _print({"widget_secret": secret}, as_json)


def _print(answer: dict[str, str], as_json: bool) -> None:
    if as_json:
        print_json(answer)
        return
    for key, value in answer.items():
        out.print(f"{key.replace('_', ' ')}: {value}", markup=False, highlight=False)
