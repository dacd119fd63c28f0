"""The contract of `Views`: one suite that every adapter of the port inherits."""

from abc import abstractmethod
from collections.abc import Awaitable, Callable

import pytest

from application.ports.views import ConversationFilter, ConversationRow, Views, WantedPage
from domain.actors import Role, Scope
from domain.conversation import events as c
from domain.conversation.conversation import Status
from domain.errors import InvalidInput, Unavailable
from tests.application.projections.fakes import START_US, History

EVERYTHING = ConversationFilter()


async def _ids(views: Views, filter: ConversationFilter) -> list[str]:
    return [row.id for row in (await views.list_conversations(filter, 100, None)).data]


class ViewsContract:
    """Inherit, and give the two fixtures."""

    @pytest.fixture
    @abstractmethod
    def history(self) -> History:
        """Where the test says what happened."""

    @pytest.fixture
    @abstractmethod
    def project(self, history: History) -> Callable[[], Awaitable[Views]]:
        """Brings the views up to date with the history."""

    async def test_a_conversation_shows_its_contact_and_its_last_messages(
        self, history: History, project: Callable[[], Awaitable[Views]]
    ) -> None:
        history.contact("p1", "李雷", "li@example.cn", "user-7")
        history.conversation("c1", verified=True)
        history.visitor_says("c1", "在吗？")
        history.agent_says("c1", "VIP!", private=True)
        row = await (await project()).conversation("c1")
        assert row is not None
        assert (row.contact.name, row.contact.email, row.contact.identifier) == (
            "李雷",
            "li@example.cn",
            "user-7",
        )
        assert (row.status, row.last_seq, row.unread_count) == (Status.OPEN, 2, 1)
        assert row.identity_verified
        assert not row.contact.verified
        assert row.last_message is not None
        assert row.last_public_message is not None
        assert (row.last_message.content, row.last_message.private) == ("VIP!", True)
        assert row.last_public_message.content == "在吗？"
        assert row.last_public_message.author.name == "李雷"
        assert row.updated_at_us > row.created_at_us

    async def test_a_conversation_without_messages_has_no_last_message(
        self, history: History, project: Callable[[], Awaitable[Views]]
    ) -> None:
        history.conversation("c1")
        row = await (await project()).conversation("c1")
        assert row is not None
        assert (row.last_message, row.last_public_message, row.last_seq) == (None, None, 0)
        assert (row.contact.id, row.contact.name) == ("p1", None)

    async def test_what_does_not_exist_is_none_or_empty(
        self, history: History, project: Callable[[], Awaitable[Views]]
    ) -> None:
        views = await project()
        for id in ("no-such-id", "", "\x00", "\ud800", "x" * 5_000):
            assert await views.conversation(id) is None
            assert await views.contact(id) is None
            assert await views.agent(id) is None
            assert await views.messages(id, limit=10, include_private=True) == []
        assert await views.conversations(["no-such-id", "\x00"]) == []
        assert (await views.list_conversations(EVERYTHING, 10, None)).data == []
        assert (await views.contacts(None, 10, None)).data == []
        assert await views.agents() == await views.api_keys() == []
        assert await views.position() == 0

    async def test_the_newest_activity_is_first_and_reading_is_no_activity(
        self, history: History, project: Callable[[], Awaitable[Views]]
    ) -> None:
        for id in ("c1", "c2", "c3"):
            history.conversation(id)
        history.visitor_says("c1", "hello")
        history.agent_reads("c2", 0)
        assert await _ids(await project(), EVERYTHING) == ["c1", "c3", "c2"]

    async def test_pages_follow_each_other_without_gap_or_repeat(
        self, history: History, project: Callable[[], Awaitable[Views]]
    ) -> None:
        ids = [f"c{n}" for n in range(7)]
        for id in ids:
            history.conversation(id)
        views = await project()
        found: list[str] = []
        cursor = None
        for _ in range(3):
            page = await views.list_conversations(EVERYTHING, 3, cursor)
            found += [row.id for row in page.data]
            cursor = page.after_cursor
        assert found == ids[::-1]
        assert cursor is None

    async def test_new_activity_does_not_disturb_a_reader_between_pages(
        self, history: History, project: Callable[[], Awaitable[Views]]
    ) -> None:
        for number in range(4):
            history.conversation(f"c{number}")
        first = await (await project()).list_conversations(EVERYTHING, 2, None)
        history.conversation("new")
        second = await (await project()).list_conversations(EVERYTHING, 2, first.after_cursor)
        assert [row.id for row in first.data + second.data] == ["c3", "c2", "c1", "c0"]

    @pytest.mark.parametrize("cursor", ["?", "5aSp", "AAAA", "x" * 400, "MToA"])
    async def test_a_cursor_of_somebody_elses_is_invalid_input(
        self, history: History, project: Callable[[], Awaitable[Views]], cursor: str
    ) -> None:
        views = await project()
        with pytest.raises(InvalidInput):
            await views.list_conversations(EVERYTHING, 10, cursor)
        with pytest.raises(InvalidInput):
            await views.contacts(None, 10, cursor)

    async def test_filters_select_by_status_assignee_and_label(
        self, history: History, project: Callable[[], Awaitable[Views]]
    ) -> None:
        for id in ("c1", "c2", "c3"):
            history.conversation(id)
        history.happens("conversation-c1", c.ConversationAssigned("a1"))
        history.happens("conversation-c2", c.ConversationLabelled(("退款", "vip"), ()))
        history.happens("conversation-c3", c.ConversationResolved())
        views = await project()
        assert await _ids(views, ConversationFilter(status=Status.RESOLVED)) == ["c3"]
        assert await _ids(views, ConversationFilter(status=Status.OPEN)) == ["c2", "c1"]
        assert await _ids(views, ConversationFilter(assignee="a1")) == ["c1"]
        assert await _ids(views, ConversationFilter(assignee="none")) == ["c3", "c2"]
        assert await _ids(views, ConversationFilter(label="退款")) == ["c2"]
        assert await _ids(views, ConversationFilter(status=Status.RESOLVED, assignee="a1")) == []

    @pytest.mark.parametrize(
        "filter",
        [
            ConversationFilter(assignee="\x00"),
            ConversationFilter(label="\ud800"),
            ConversationFilter(q="\x00\ud800"),
            ConversationFilter(q="!?"),
        ],
    )
    async def test_a_filter_that_nothing_can_match_is_never_an_internal_error(
        self,
        history: History,
        project: Callable[[], Awaitable[Views]],
        filter: ConversationFilter,
    ) -> None:
        history.conversation("c1")
        views = await project()
        try:
            assert await _ids(views, filter) == []
        except InvalidInput:
            return

    @pytest.mark.parametrize(
        ("q", "found"),
        [
            ("退", {"c1"}),
            ("款", {"c1"}),
            ("退款", {"c1"}),
            ("申请退款", {"c1"}),
            ("款退", set()),
            ("吗", {"c1"}),
            ("order", {"c2"}),
            ("ORDER", {"c2"}),
            ("ord", {"c2"}),
            ("20231107", {"c2"}),
            ("order parcel", set()),
            ("late order", {"c2"}),
            ("iphone15", {"c3"}),
            ("手机", {"c3"}),
            ("iphone15 手机", {"c3"}),
            ("iPhone15手机", {"c3"}),
            ("ｉｐｈｏｎｅ", {"c3"}),
            ("韩", {"c4"}),
            ("梅梅", {"c4"}),
            ("mei@example.cn", {"c4"}),
            ("user_42", {"c4"}),
            ("nothing like this", set()),
            ("'); DROP TABLE x; --", set()),
            ("a & !b | (c:*", set()),
        ],
    )
    async def test_search_finds_chinese_and_english_in_messages_and_contacts(
        self,
        history: History,
        project: Callable[[], Awaitable[Views]],
        q: str,
        found: set[str],
    ) -> None:
        history.contact("p1")
        history.contact("p4", "韩梅梅", "mei@example.cn", "user_42")
        for id in ("c1", "c2", "c3"):
            history.conversation(id)
        history.conversation("c4", "p4")
        history.visitor_says("c1", "可以申请退款吗？")
        history.visitor_says("c2", "My order 20231107 is late. What's up?")
        history.agent_says("c3", "customer's iPhone15手机坏了", private=True)
        assert set(await _ids(await project(), ConversationFilter(q=q))) == found

    async def test_search_follows_edits_and_forgets_recalled_messages(
        self, history: History, project: Callable[[], Awaitable[Views]]
    ) -> None:
        history.conversation("c1")
        first = history.visitor_says("c1", "银行卡号码")
        second = history.visitor_says("c1", "parcel")
        await project()
        history.recall("c1", first)
        history.edit("c1", second, "package")
        views = await project()
        assert await _ids(views, ConversationFilter(q="银行")) == []
        assert await _ids(views, ConversationFilter(q="parcel")) == []
        assert await _ids(views, ConversationFilter(q="package")) == ["c1"]

    async def test_messages_are_read_forwards_and_backwards_in_ascending_order(
        self, history: History, project: Callable[[], Awaitable[Views]]
    ) -> None:
        history.conversation("c1")
        for number in range(1, 8):
            history.visitor_says("c1", f"text {number}")
        views = await project()

        async def seqs(**window: int) -> list[int]:
            rows = await views.messages("c1", limit=3, include_private=True, **window)
            return [row.seq for row in rows]

        assert await seqs() == [1, 2, 3]
        assert await seqs(after_seq=3) == [4, 5, 6]
        assert await seqs(after_seq=7) == []
        assert await seqs(before_seq=8) == [5, 6, 7]
        assert await seqs(before_seq=2) == [1]
        assert await seqs(before_seq=1) == []
        assert await seqs(before_seq=2**40) == [5, 6, 7]
        assert await seqs(after_seq=2**40) == []

    async def test_the_missed_messages_of_several_conversations_are_read_at_once(
        self, history: History, project: Callable[[], Awaitable[Views]]
    ) -> None:
        for id in ("c1", "c2"):
            history.conversation(id)
            for number in range(1, 4):
                history.visitor_says(id, f"text {number}")
            history.agent_says(id, "a note", private=True)
        views = await project()
        wanted = [
            WantedPage("c2", 0, include_private=False),
            WantedPage("none", 0, include_private=True),
            WantedPage("c1", 2, include_private=True),
            WantedPage("no text\x00", 0, include_private=True),
            WantedPage("c2", 3, include_private=False),
            WantedPage("c1", 2**40, include_private=True),
            WantedPage("c2", 0, include_private=True),
        ]
        pages = await views.message_pages(wanted, 3)
        assert [[row.seq for row in rows] for rows in pages] == [
            [1, 2, 3],
            [],
            [3, 4],
            [],
            [],
            [],
            [1, 2, 3],
        ]
        assert {row.conversation_id for row in pages[0]} == {"c2"}
        assert await views.message_pages([], 3) == []

    async def test_private_notes_are_left_out_for_visitors(
        self, history: History, project: Callable[[], Awaitable[Views]]
    ) -> None:
        history.conversation("c1")
        history.visitor_says("c1", "1")
        history.agent_says("c1", "a note", private=True)
        history.agent_says("c1", "3")
        views = await project()
        seen = await views.messages("c1", limit=10, include_private=False)
        before = await views.messages("c1", before_seq=3, limit=10, include_private=False)
        everything = await views.messages("c1", limit=10, include_private=True)
        assert [row.seq for row in seen] == [1, 3]
        assert [row.seq for row in before] == [1]
        assert [(row.seq, row.private) for row in everything] == [(1, False), (2, True), (3, False)]

    async def test_a_recalled_message_is_listed_without_its_content(
        self, history: History, project: Callable[[], Awaitable[Views]]
    ) -> None:
        history.conversation("c1")
        history.recall("c1", history.visitor_says("c1", "oops"))
        (row,) = await (await project()).messages("c1", limit=10, include_private=False)
        assert row.content == ""
        assert row.recalled_at_us is not None
        assert row.edited_at_us is None

    async def test_contacts_are_listed_newest_first_and_searched(
        self, history: History, project: Callable[[], Awaitable[Views]]
    ) -> None:
        history.contact("p1", "李雷", None, "user-1")
        history.contact("p2", "Ann", "ann@example.com", None)
        history.contact("p3")
        views = await project()
        first = await views.contacts(None, 2, None)
        rest = await views.contacts(None, 2, first.after_cursor)
        assert [row.id for row in first.data + rest.data] == ["p3", "p2", "p1"]
        assert rest.after_cursor is None
        assert [row.id for row in (await views.contacts("李", 9, None)).data] == ["p1"]
        assert [row.id for row in (await views.contacts("ann@", 9, None)).data] == ["p2"]
        assert (await views.contacts("!", 9, None)).data == []
        contact = await views.contact("p1")
        assert contact is not None
        assert (contact.name, contact.identifier) == ("李雷", "user-1")

    async def test_agents_and_api_keys_are_listed(
        self, history: History, project: Callable[[], Awaitable[Views]]
    ) -> None:
        history.agent("a2", "Zoe", Role.ADMIN)
        history.agent("a1", "Ann")
        history.api_key("k1", "erp", Scope.EVENTS_READ, Scope.MESSAGES_WRITE)
        history.api_key("k2", "bi")
        history.revoke("k1")
        views = await project()
        assert [agent.name for agent in await views.agents()] == ["Ann", "Zoe"]
        agent = await views.agent("a2")
        assert agent is not None
        assert (agent.role, agent.active) == (Role.ADMIN, True)
        keys = {key.id: key for key in await views.api_keys()}
        assert keys["k1"].scopes == (Scope.EVENTS_READ, Scope.MESSAGES_WRITE)
        assert keys["k1"].revoked_at_us is not None
        assert keys["k2"].revoked_at_us is None

    async def test_a_writer_can_wait_for_its_own_write(
        self, history: History, project: Callable[[], Awaitable[Views]]
    ) -> None:
        history.conversation("c1")
        views = await project()
        assert await views.position() == 1
        await views.wait_for(1, 1.0)
        with pytest.raises(Unavailable):
            await views.wait_for(2, 0.05)
        history.visitor_says("c1", "hello")
        await project()
        await views.wait_for(3, 1.0)

    async def test_snoozed_conversations_are_due_at_their_time(
        self, history: History, project: Callable[[], Awaitable[Views]]
    ) -> None:
        for id, until_us in (("c1", START_US + 2), ("c2", START_US + 1), ("c3", None)):
            history.conversation(id)
            history.happens(f"conversation-{id}", c.ConversationSnoozed(until_us))
        history.conversation("c4")
        views = await project()
        assert await views.snoozed_due(START_US, 10) == []
        assert await views.snoozed_due(START_US + 1, 10) == ["c2"]
        assert await views.snoozed_due(START_US + 2, 10) == ["c2", "c1"]
        assert await views.snoozed_due(START_US + 2, 1) == ["c2"]

    async def test_several_conversations_are_read_at_once(
        self, history: History, project: Callable[[], Awaitable[Views]]
    ) -> None:
        for id in ("c1", "c2", "c3"):
            history.conversation(id)
        rows: list[ConversationRow] = await (await project()).conversations(["c1", "c3", "c9"])
        assert {row.id for row in rows} == {"c1", "c3"}
