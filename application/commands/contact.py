"""Work on contacts."""

from typing import Any

import msgspec

from application.commands.unit_of_work import UnitOfWork
from domain.actors import Actor, require_staff
from domain.contact import contact as contacts


class UpdateContact(msgspec.Struct, frozen=True, tag=True):
    """Replace name and email. Answer: `contact_id`."""

    contact_id: str
    name: str | None
    email: str | None


def update_contact(uow: UnitOfWork, command: UpdateContact, actor: Actor) -> dict[str, Any]:
    """Agents correct what is known of a person."""
    require_staff(actor)
    contact = uow.load(contacts.DECIDER, command.contact_id)
    uow.stage(
        contacts.DECIDER,
        contact.id,
        contacts.update(contact, command.name, command.email),
        subject=contact.id,
    )
    return {"contact_id": contact.id}
