"""Work on agents, for administrators; and one's own password."""

from typing import Any

import msgspec

from application.commands.unit_of_work import UnitOfWork
from domain.actors import Actor, ActorKind, Role, require_admin
from domain.agent import agent as agents
from domain.agent.events import AgentEvent
from domain.errors import Forbidden, OwnAccount


class RegisterAgent(msgspec.Struct, frozen=True, tag=True):
    """A new agent. Answer: `agent_id`, and whether it was `created` now."""

    agent_id: str
    email: str
    name: str
    role: Role
    password_hash: str
    one_time: bool


class SetPassword(msgspec.Struct, frozen=True, tag=True):
    """A new password: one's own, or by an administrator a one-time one. Answer: `agent_id`."""

    agent_id: str
    password_hash: str
    one_time: bool


class ChangeAgent(msgspec.Struct, frozen=True, tag=True):
    """Change what is not None. Answer: `agent_id`."""

    agent_id: str
    name: str | None = None
    role: Role | None = None
    active: bool | None = None


def register_agent(uow: UnitOfWork, command: RegisterAgent, actor: Actor) -> dict[str, Any]:
    """The address is claimed in the same batch, so no two agents share one."""
    _require_admin_now(uow, actor)
    claim_id = agents.email_claim_id(command.email)
    claim = uow.load(agents.EMAIL_DECIDER, claim_id)
    agent = uow.load(agents.DECIDER, command.agent_id)
    if agent.email is not None:
        return {"agent_id": agent.id, "created": False}
    uow.stage(agents.EMAIL_DECIDER, claim_id, agents.claim_email(claim, agent.id))
    uow.stage(
        agents.DECIDER,
        agent.id,
        agents.register(
            agent,
            command.email,
            command.name,
            command.role,
            command.password_hash,
            one_time=command.one_time,
        ),
    )
    return {"agent_id": agent.id, "created": True}


def set_password(uow: UnitOfWork, command: SetPassword, actor: Actor) -> dict[str, Any]:
    """One's own, or as an administrator anybody's."""
    if actor.kind is not ActorKind.AGENT or actor.id != command.agent_id:
        _require_admin_now(uow, actor)
    agent = uow.load(agents.DECIDER, command.agent_id)
    events = agents.set_password(agent, command.password_hash, one_time=command.one_time)
    uow.stage(agents.DECIDER, agent.id, events)
    return {"agent_id": agent.id}


def change_agent(uow: UnitOfWork, command: ChangeAgent, actor: Actor) -> dict[str, Any]:
    """Name, role, active; never the own role, so that an administrator always remains."""
    _require_admin_now(uow, actor)
    agent = uow.load(agents.DECIDER, command.agent_id)
    agents.require_exists(agent)
    demoted = command.role is not None and command.role is not Role.ADMIN
    if actor.id == agent.id and (demoted or command.active is False):
        raise OwnAccount
    events: list[AgentEvent] = []
    if command.name is not None:
        events += agents.rename(agent, command.name)
    if command.role is not None:
        events += agents.change_role(agent, command.role)
    if command.active is not None:
        events += agents.reactivate(agent) if command.active else agents.deactivate(agent)
    uow.stage(agents.DECIDER, agent.id, tuple(events))
    return {"agent_id": agent.id}


def _require_admin_now(uow: UnitOfWork, actor: Actor) -> None:
    """The session may be older than a demotion, so the agent itself is asked too."""
    require_admin(actor)
    if actor.kind is ActorKind.AGENT:
        agent = uow.load(agents.DECIDER, actor.id)
        if agent.role is not Role.ADMIN or not agent.active:
            raise Forbidden("Only an administrator may do this.")
