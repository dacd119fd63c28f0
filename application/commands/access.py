"""Sessions of visitors and agents, and API keys.

Secrets never reach the core: whoever makes one sends the id of its token (its SHA-256) only.
"""

from typing import Any

import msgspec

from application.commands.unit_of_work import UnitOfWork
from domain.access import token as tokens
from domain.access.events import TokenIssued
from domain.actors import Actor, ActorKind, Scope, require_admin
from domain.agent import agent as agents
from domain.contact import contact as contacts
from domain.conversation import conversation as conversations
from domain.conversation.conversation import Status
from domain.errors import AgentInactive, ApiKeyNotFound, Forbidden
from domain.text import clean_line


class StartVisitorSession(msgspec.Struct, frozen=True, tag=True):
    """A session for a visitor. Answer: `contact_id`, `conversation_id`."""

    token_id: str
    expires_us: int
    contact_id: str
    """The new contact's id, or the one derived from the identifier."""
    conversation_id: str
    """The new conversation's id; a proved identity with an unresolved one resumes that."""
    identifier: str | None = None
    name: str | None = None
    email: str | None = None
    identity_verified: bool = False
    """The identifier was signed by the company's server."""
    previous_conversation_id: str | None = None
    """Of the visitor's own valid token: start a new conversation, proved as far as that one."""


class StartAgentSession(msgspec.Struct, frozen=True, tag=True):
    """A session for an agent whose password was verified. Answer: `agent_id`."""

    token_id: str
    expires_us: int
    agent_id: str


class EndSession(msgspec.Struct, frozen=True, tag=True):
    """End the session with this token. Answer: `token_id`."""

    token_id: str


class IssueApiKey(msgspec.Struct, frozen=True, tag=True):
    """A new API key. Answer: `api_key_id`."""

    token_id: str
    name: str
    scopes: tuple[Scope, ...]


class RevokeApiKey(msgspec.Struct, frozen=True, tag=True):
    """The key opens nothing any more. Answer: `api_key_id`."""

    api_key_id: str


def start_visitor_session(
    uow: UnitOfWork, command: StartVisitorSession, actor: Actor
) -> dict[str, Any]:
    """One atomic batch over contact, conversation and token."""
    _require_system(actor)
    contact = uow.load(contacts.DECIDER, command.contact_id)
    verified = command.identity_verified
    was_erased = contact.erased
    while contact.erased:  # somebody comes back: a new contact, with nothing of the old one
        contact = uow.load(contacts.DECIDER, contacts.successor_id(contact.id))
    if command.previous_conversation_id is not None and not was_erased:
        previous = uow.load(conversations.DECIDER, command.previous_conversation_id)
        verified = previous.identity_verified
    introduced = contacts.introduce(
        contact, command.identifier, command.name, command.email, identity_verified=verified
    )
    uow.stage(contacts.DECIDER, contact.id, introduced, subject=contact.id)
    conversation_id = command.conversation_id
    resumable = contact.verified_conversation_id if verified else None
    if resumable is not None and command.previous_conversation_id is None:
        state = uow.load(conversations.DECIDER, resumable)
        if state.status is not Status.RESOLVED:
            conversation_id = resumable
    if conversation_id == command.conversation_id:
        _open_conversation(uow, contact.id, conversation_id, verified=verified)
    contact = uow.load(contacts.DECIDER, contact.id)
    issued = TokenIssued(
        kind=ActorKind.VISITOR,
        subject_id=contact.id,
        name=contact.name or "",
        conversation_id=conversation_id,
        scopes=(),
        expires_us=command.expires_us,
    )
    uow.stage(tokens.DECIDER, command.token_id, (issued,), subject=contact.id)
    return {"contact_id": contact.id, "conversation_id": conversation_id}


def start_agent_session(
    uow: UnitOfWork, command: StartAgentSession, actor: Actor
) -> dict[str, Any]:
    """Only an active agent can log in."""
    _require_system(actor)
    agent = uow.load(agents.DECIDER, command.agent_id)
    agents.require_exists(agent)
    if not agent.active:
        raise AgentInactive
    issued = TokenIssued(ActorKind.AGENT, agent.id, agent.name, None, (), command.expires_us)
    uow.stage(tokens.DECIDER, command.token_id, (issued,))
    return {"agent_id": agent.id}


def end_session(uow: UnitOfWork, command: EndSession, actor: Actor) -> dict[str, Any]:
    """Whoever holds a token may end it."""
    token = uow.load(tokens.DECIDER, command.token_id)
    if actor.kind is not ActorKind.SYSTEM and token.subject_id != actor.id:
        raise Forbidden
    uow.stage(tokens.DECIDER, command.token_id, tokens.revoke(token))
    return {"token_id": command.token_id}


def issue_api_key(uow: UnitOfWork, command: IssueApiKey, actor: Actor) -> dict[str, Any]:
    """Administrators issue keys; the key's id is the id of its token."""
    require_admin(actor)
    issued = TokenIssued(
        kind=ActorKind.API_KEY,
        subject_id=command.token_id,
        name=clean_line(command.name, "name"),
        conversation_id=None,
        scopes=command.scopes,
        expires_us=None,
    )
    uow.stage(tokens.DECIDER, command.token_id, (issued,))
    return {"api_key_id": command.token_id}


def revoke_api_key(uow: UnitOfWork, command: RevokeApiKey, actor: Actor) -> dict[str, Any]:
    """Administrators revoke keys."""
    require_admin(actor)
    token = uow.load(tokens.DECIDER, command.api_key_id)
    if token.kind is not ActorKind.API_KEY:
        raise ApiKeyNotFound(command.api_key_id)
    uow.stage(tokens.DECIDER, token.id, tokens.revoke(token))
    return {"api_key_id": token.id}


def _open_conversation(
    uow: UnitOfWork, contact_id: str, conversation_id: str, *, verified: bool
) -> None:
    contact = uow.load(contacts.DECIDER, contact_id)
    conversation = uow.load(conversations.DECIDER, conversation_id)
    opened = conversations.open_conversation(
        conversation, contact_id, "web", identity_verified=verified
    )
    started = contacts.start_conversation(contact, conversation_id, identity_verified=verified)
    uow.stage(contacts.DECIDER, contact_id, started)
    uow.stage(conversations.DECIDER, conversation_id, opened)


def _require_system(actor: Actor) -> None:
    if actor.kind is not ActorKind.SYSTEM:
        raise Forbidden
