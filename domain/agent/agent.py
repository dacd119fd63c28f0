"""Agent: state, fold and decisions; and the claim on an email address."""

import hashlib

import msgspec

from domain import errors, text
from domain.actors import Role
from domain.agent.events import (
    AgentDeactivated,
    AgentEvent,
    AgentPasswordSet,
    AgentReactivated,
    AgentRegistered,
    AgentRenamed,
    AgentRoleChanged,
    EmailClaimed,
)
from domain.events import Decider

_replace = msgspec.structs.replace


class Agent(msgspec.Struct, frozen=True):
    """State of one agent after some of its events."""

    id: str
    email: str | None = None
    """None: never registered, the agent does not exist."""
    name: str = ""
    role: Role = Role.AGENT
    password_hash: str = ""
    must_change_password: bool = False
    active: bool = False


class EmailClaim(msgspec.Struct, frozen=True):
    """Who has an email address; its id is the hash of the address."""

    id: str
    agent_id: str | None = None


def evolve(state: Agent, event: AgentEvent) -> Agent:
    """State after one more event."""
    match event:
        case AgentRegistered():
            return _replace(state, email=event.email, name=event.name, role=event.role, active=True)
        case AgentPasswordSet():
            return _replace(
                state,
                password_hash=event.password_hash,
                must_change_password=event.one_time,
            )
        case AgentRoleChanged(role=role):
            return _replace(state, role=role)
        case AgentRenamed(name=name):
            return _replace(state, name=name)
        case AgentDeactivated():
            return _replace(state, active=False)
        case AgentReactivated():
            return _replace(state, active=True)


def evolve_claim(state: EmailClaim, event: EmailClaimed) -> EmailClaim:
    """State after one more event."""
    return _replace(state, agent_id=event.agent_id)


DECIDER: Decider[Agent] = Decider("agent", Agent, evolve)
EMAIL_DECIDER: Decider[EmailClaim] = Decider("agent_email", EmailClaim, evolve_claim)


def email_claim_id(email: str) -> str:
    """Id of the claim on an address: its hash, so that stream names carry no personal data."""
    return hashlib.sha256(text.clean_email(email).encode()).hexdigest()[:32]


def claim_email(state: EmailClaim, agent_id: str) -> tuple[EmailClaimed, ...]:
    """Reserve an address for one agent.

    Raises:
        EmailTaken: another agent has it.
    """
    if state.agent_id is None:
        return (EmailClaimed(agent_id),)
    if state.agent_id != agent_id:
        raise errors.EmailTaken
    return ()


def register(
    state: Agent, email: str, name: str, role: Role, password_hash: str, *, one_time: bool
) -> tuple[AgentEvent, ...]:
    """A new agent, active at once.

    Raises:
        InvalidInput: email or name break a limit.
    """
    if state.email is not None:
        return ()
    return (
        AgentRegistered(text.clean_email(email), text.clean_line(name, "name"), role),
        AgentPasswordSet(password_hash, one_time),
    )


def set_password(state: Agent, password_hash: str, *, one_time: bool) -> tuple[AgentEvent, ...]:
    """Replace the password."""
    require_exists(state)
    return (AgentPasswordSet(password_hash, one_time),)


def change_role(state: Agent, role: Role) -> tuple[AgentEvent, ...]:
    """Give the agent another role."""
    require_exists(state)
    return () if state.role is role else (AgentRoleChanged(role),)


def rename(state: Agent, name: str) -> tuple[AgentEvent, ...]:
    """Give the agent another name."""
    require_exists(state)
    name = text.clean_line(name, "name")
    return () if state.name == name else (AgentRenamed(name),)


def deactivate(state: Agent) -> tuple[AgentEvent, ...]:
    """The agent can't log in any more; its sessions end."""
    require_exists(state)
    return (AgentDeactivated(),) if state.active else ()


def reactivate(state: Agent) -> tuple[AgentEvent, ...]:
    """The agent may log in again."""
    require_exists(state)
    return () if state.active else (AgentReactivated(),)


def require_exists(state: Agent) -> None:
    """The agent exists.

    Raises:
        AgentNotFound: it does not.
    """
    if state.email is None:
        raise errors.AgentNotFound(state.id)
