"""Read model `agents`."""

from application.codec import Envelope
from application.projections.records import AgentRecord, Changes, Keys, Records
from domain.agent.events import (
    AgentDeactivated,
    AgentReactivated,
    AgentRegistered,
    AgentRenamed,
    AgentRoleChanged,
)

CATEGORY = "agent"


def keys(envelope: Envelope, found: Keys) -> None:
    """Name the rows that the event may change."""
    found.agents.add(_id(envelope))


def apply(envelope: Envelope, before: Records, changes: Changes) -> None:
    """Change the row; raises KeyError for a change of an agent that was never registered."""
    id = _id(envelope)
    event = envelope.event
    if isinstance(event, AgentRegistered):
        changes.records.agents[id] = AgentRecord(
            id, event.email, event.name, event.role.value, envelope.recorded_us
        )
        return
    row = changes.records.agents.get(id) or before.agents[id]
    changes.records.agents[id] = row
    match event:
        case AgentRoleChanged(role=role):
            row.role = role.value
        case AgentRenamed(name=name):
            row.name = name
        case AgentDeactivated():
            row.active = False
        case AgentReactivated():
            row.active = True


def _id(envelope: Envelope) -> str:
    return envelope.stream.partition("-")[2]
