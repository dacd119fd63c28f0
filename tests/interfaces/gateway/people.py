"""Principals that the gateway's tests speak for."""

from application.queries.core import Principal
from domain.actors import Actor, ActorKind, Role, Scope

CONVERSATION = "conv-1"


def visitor(conversation_id: str = CONVERSATION) -> Principal:
    actor = Actor(ActorKind.VISITOR, "contact-1", "Li Lei", conversation_id=conversation_id)
    return Principal(actor, "token-visitor", None)


def agent(role: Role = Role.AGENT) -> Principal:
    actor = Actor(ActorKind.AGENT, f"agent-{role.value}", "Han Meimei", role)
    return Principal(actor, f"token-{role.value}", None)


def api_key() -> Principal:
    actor = Actor(ActorKind.API_KEY, "key-1", "CRM", scopes=frozenset({Scope.MESSAGES_WRITE}))
    return Principal(actor, "token-key", None)
