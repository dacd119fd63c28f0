"""What is recorded with every event of a request: who caused it, in which chain of causes."""

from application.codec import Metadata, encode_metadata
from application.ports.core import Request


def metadata_of(request: Request) -> bytes:
    """Metadata of the request's events, encoded."""
    return encode_metadata(
        Metadata(
            actor_kind=request.actor.kind,
            actor_id=request.actor.id,
            correlation_id=request.correlation_id,
            traceparent=request.traceparent,
        )
    )
