"""Events of an agent, as stored. A password is kept as its argon2 hash only."""

from domain.actors import Role
from domain.events import Event


class AgentRegistered(Event, frozen=True, tag="agent.registered.v1"):
    email: str
    name: str
    role: Role


class AgentPasswordSet(Event, frozen=True, tag="agent.password_set.v1"):
    password_hash: str
    one_time: bool
    """Set by somebody else: the agent should choose an own one."""


class AgentRoleChanged(Event, frozen=True, tag="agent.role_changed.v1"):
    role: Role


class AgentRenamed(Event, frozen=True, tag="agent.renamed.v1"):
    name: str


class AgentDeactivated(Event, frozen=True, tag="agent.deactivated.v1"):
    pass


class AgentReactivated(Event, frozen=True, tag="agent.reactivated.v1"):
    pass


class EmailClaimed(Event, frozen=True, tag="agent_email.claimed.v1"):
    """The one event of the stream of an address: the first to write it has the address."""

    agent_id: str


AgentEvent = (
    AgentRegistered
    | AgentPasswordSet
    | AgentRoleChanged
    | AgentRenamed
    | AgentDeactivated
    | AgentReactivated
)
