"""Bodies of requests and answers, for validation and OpenAPI."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from domain.actors import Role, Scope
from domain.conversation.conversation import Status
from domain.conversation.events import Priority

CONVERSATION_ID = "0192f3a4-5b6c-7d8e-9f00-112233445566"
AGENT_ID = "0192f3a4-0000-7000-8000-00000000000a"


class Body(BaseModel):
    """A request's body: unknown fields and wrong types are refused."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Login(Body):
    email: Annotated[str, Field(max_length=320, examples=["mei@shop.example"])]
    password: Annotated[str, Field(max_length=1024, examples=["correct horse battery staple"])]


class ChangePassword(Body):
    current: Annotated[str, Field(max_length=1024)]
    new: Annotated[str, Field(min_length=10, max_length=1024)]


class ContactClaim(Body):
    identifier: Annotated[str | None, Field(max_length=200, examples=["user-42"])] = None
    identifier_hash: Annotated[
        str | None,
        Field(description="HMAC-SHA256 of the identifier with the widget secret, in hex."),
    ] = None
    name: Annotated[str | None, Field(max_length=200, examples=["李雷"])] = None
    email: Annotated[str | None, Field(max_length=254, examples=["lilei@mail.example"])] = None


class StartSession(Body):
    contact: ContactClaim | None = None
    new_conversation: Annotated[
        bool, Field(description="With a visitor's own token: begin another conversation.")
    ] = False


class PostMessage(Body):
    content: Annotated[
        str,
        Field(
            examples=["您好，我的包裹还没到。"],
            json_schema_extra={"minLength": 1, "maxLength": 16384},
        ),
    ]
    private: Annotated[bool, Field(description="A note that visitors never see.")] = False
    ref: Annotated[
        str | None,
        Field(description="The client's own id of the message; the same ref, the same message."),
    ] = None


class EditMessageBody(Body):
    content: Annotated[str, Field(examples=["Corrected."])]


class Assign(Body):
    assignee_id: Annotated[str | None, Field(examples=[AGENT_ID])]


class ToggleStatus(Body):
    status: Annotated[Status, Field(strict=False, examples=["resolved"])]
    snoozed_until: Annotated[
        str | None, Field(description="RFC 3339.", examples=["2026-12-01T09:00:00Z"])
    ] = None


class TogglePriority(Body):
    priority: Annotated[Priority | None, Field(strict=False, examples=["high"])]


class Labels(Body):
    labels: Annotated[list[str], Field(examples=[["退款", "vip"]])]


class LastSeen(Body):
    seq: Annotated[int, Field(ge=0, le=2**31 - 1)]


class UpdateContactBody(Body):
    name: str | None = None
    email: str | None = None


class CreateAgent(Body):
    email: Annotated[str, Field(examples=["mei@shop.example"])]
    name: Annotated[str, Field(examples=["韩梅梅"])]
    role: Annotated[Role, Field(strict=False, examples=["agent"])] = Role.AGENT
    password: Annotated[
        str | None,
        Field(min_length=10, max_length=1024, description="None: a one-time one is made."),
    ] = None


class ChangeAgentBody(Body):
    name: str | None = None
    role: Annotated[Role | None, Field(strict=False)] = None
    active: bool | None = None


class CreateApiKey(Body):
    name: Annotated[str, Field(examples=["ERP"])]
    scopes: Annotated[list[Annotated[Scope, Field(strict=False)]], Field(min_length=1)]


class EraseBody(Body):
    reason: Annotated[
        str,
        Field(min_length=1, max_length=1000, description="Kept for ever: name nobody."),
    ] = "The contact asked for it."


class LegalHoldBody(Body):
    reason: Annotated[str, Field(min_length=1, max_length=1000, examples=["Court order 7/2026"])]


class Answer(BaseModel):
    """An answer's body, for OpenAPI; shapes are made in `interfaces.shapes`."""


class AgentAnswer(Answer):
    id: str = AGENT_ID
    name: str = "韩梅梅"
    email: str = "mei@shop.example"
    role: Role = Role.AGENT


class LoginAnswer(Answer):
    token: str = "OFqT...43 characters"
    agent: AgentAnswer = AgentAnswer()
    must_change_password: bool = False


class SessionAnswer(Answer):
    token: str = "OFqT...43 characters"
    contact_id: str = "0192f3a4-aaaa-7000-8000-000000000001"
    conversation_id: str = CONVERSATION_ID
    ws_url: str = "ws://127.0.0.1:8000/ws"


class PostedMessage(Answer):
    message_id: str = "b2a4e9a0-7f3c-8a51-9d3e-0123456789ab"
    seq: int = 1
    position: int = 42


class Author(Answer):
    kind: Literal["visitor", "agent", "bot", "system"] = "visitor"
    id: str = "0192f3a4-aaaa-7000-8000-000000000001"
    name: str = "李雷"


class Message(Answer):
    message_id: str = "b2a4e9a0-7f3c-8a51-9d3e-0123456789ab"
    conversation_id: str = CONVERSATION_ID
    seq: int = 1
    author: Author = Author()
    content: str = "您好"
    private: bool = False
    created_at: str = "2026-11-24T09:30:00.123456Z"
    position: int = 42
    edited_at: str | None = None
    recalled_at: str | None = None


class ContactSummary(Answer):
    id: str = "0192f3a4-aaaa-7000-8000-000000000001"
    name: str | None = "李雷"
    email: str | None = None
    identifier: str | None = "user-42"
    verified: bool = True


class LegalHold(Answer):
    reason: str = "Court order 7/2026"
    placed_at: str = "2026-11-24T09:30:00Z"


class Certificate(Answer):
    contact_id: str = "0192f3a4-aaaa-7000-8000-000000000001"
    key_id: str | None = "8f14e45fceea167a5a36dedd4bea2543"
    position: int = 42
    event_sha256: str = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
    erased_at: str = "2026-11-24T09:30:00.123456Z"
    reason: str = "The contact asked for it."
    requested_by: str = f"agent:{AGENT_ID}"
    in_clear: int = 0


class ErasureAnswer(Answer):
    certificate: Certificate = Certificate()
    public_key: str = "Ed25519, 32 bytes in base64"
    signature: str = "64 bytes in base64"


class Conversation(Answer):
    id: str = CONVERSATION_ID
    status: Status = Status.OPEN
    assignee_id: str | None = None
    contact: ContactSummary = ContactSummary()
    last_seq: int = 1
    last_message: Message | None = Message()
    updated_at: str = "2026-11-24T09:30:00.123456Z"
    created_at: str = "2026-11-24T09:29:00Z"
    priority: Priority | None = None
    labels: list[str] = []
    snoozed_until: str | None = None
    unread_count: int = 1
    agent_read_seq: int = 0
    visitor_read_seq: int = 1
    visitor_delivered_seq: int = 1
    legal_hold: LegalHold | None = None


class Meta(Answer):
    has_more: bool = False
    after_cursor: str | None = None


class ConversationList(Answer):
    data: list[Conversation] = [Conversation()]
    meta: Meta = Meta()


class MessageList(Answer):
    data: list[Message] = [Message()]
    meta: Meta = Meta()


class Problem(Answer):
    """RFC 9457."""

    type: str = "urn:kefu:problem:conversation-not-found"
    title: str = "Not Found"
    status: int = 404
    detail: str = "There is no conversation with the id 'x'."
    code: str = "conversation-not-found"
    instance: str | None = None
    errors: list[dict[str, str]] | None = None


def page(data: list[Any], after_cursor: str | None) -> dict[str, Any]:
    """A list's answer."""
    return {
        "data": data,
        "meta": {"has_more": after_cursor is not None, "after_cursor": after_cursor},
    }
