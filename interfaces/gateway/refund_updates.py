"""Refunds that changed, or whose sagas did, as frames for the conversation list's subscribers."""

from collections.abc import Collection

from application.ports.refund_views import RefundViews
from interfaces.gateway import frames


async def refund_frames(views: RefundViews, ids: Collection[str]) -> list[tuple[str, bytes]]:
    """A name for each, by which a newer frame takes an older one's place, and the frame.

    Raises:
        Unavailable: the views' database does not answer.
    """
    if not ids:
        return []
    return [
        (
            f"refund {row.id}",
            frames.encode(
                {
                    "type": "refund",
                    "refund_id": row.id,
                    "conversation_id": row.conversation_id,
                    "status": row.status.value,
                    "saga_status": None if row.saga_status is None else row.saga_status.value,
                }
            ),
        )
        for row in await views.refunds_by_id(list(ids))
    ]
