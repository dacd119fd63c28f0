"""A refund from the visitor's question to the auditor's timeline, in real Chromium.

The system is real; payment provider and ERP are `kefu sandbox`, a process of its own.
"""

import itertools
import os
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests import sandbox as sandboxes
from tests.browser.test_life import enter
from tests.browser.test_main_job import NewPage, open_widget, say
from tests.sandbox import Sandbox
from tests.serving import PASSWORD, Kefu, running

pytestmark = pytest.mark.browser
IMAGES = Path(__file__).parents[2] / "docs" / "images"
WIDE = {"width": 1440, "height": 900}
PATIENCE_MS = 60_000


@dataclass
class Shop:
    """A system whose refunds a sandbox pays."""

    kefu: Kefu
    sandbox: Sandbox
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1001))

    def order(self, total: str = "500.00") -> str:
        """A new order that the shop, the provider and kefu know."""
        reference = f"A-{next(self.numbers)}"
        self.sandbox.order(reference, int(total.replace(".", "")), "CNY")
        body = {"total": total, "currency": "CNY"}
        path = f"/api/v1/orders/{reference}"
        status, answer, _ = self.kefu.request("PUT", path, body, self.kefu.login())
        assert status == 200, answer
        return reference

    def staff(self, role: str, name: str) -> str:
        """A new person's email."""
        email = f"{role}{time.time_ns()}@shop.example"
        body = {"email": email, "name": name, "role": role, "password": PASSWORD}
        self.kefu.post("/api/v1/agents", body, self.kefu.login())
        return email

    def conversation(self, text: str) -> str:
        """A visitor's conversation; its id."""
        session = self.kefu.visitor(name="李雷")
        id = str(session["conversation_id"])
        path = f"/api/v1/conversations/{id}/messages"
        self.kefu.post(path, {"content": text}, session["token"])
        return id

    def refund(self, conversation: str, order: str, amount: str, email: str) -> str:
        """A refund that somebody has asked for over HTTP."""
        body = {"order_reference": order, "amount": amount, "currency": "CNY", "reason": "broken"}
        path = f"/api/v1/conversations/{conversation}/refunds"
        return str(self.kefu.post(path, body, self.kefu.login(email))["refund_id"])


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    directory = tmp_path_factory.mktemp("shop")
    with sandboxes.running(directory / "sandbox") as sandbox:
        quick = {"KEFU_SAGA_FIRST_DELAY_S": "0.05", "KEFU_SAGA_LONGEST_DELAY_S": "0.2"}
        urls = {"KEFU_PAYMENT_URL": sandbox.url, "KEFU_ERP_URL": sandbox.url}
        with running(directory / "data", **quick, **urls) as kefu:
            yield Shop(kefu, sandbox)


def ask(page: Page, order: str, amount: str, reason: str = "杯子到货时已碎") -> None:
    """Fill in the dialog, which is open, and send it."""
    page.get_by_test_id("refund-order").fill(order)
    page.get_by_test_id("refund-amount").fill(amount)
    page.get_by_test_id("refund-reason").fill(reason)
    page.get_by_test_id("dialog-submit").click()


def state_of(page: Page, status: str) -> None:
    """The refund that is shown is in this state, by itself: nobody reloads the page."""
    shown = page.get_by_test_id("refund-status").last
    expect(shown).to_have_attribute("data-status", status, timeout=PATIENCE_MS)


def picture(page: Page, name: str) -> None:
    if os.environ.get("KEFU_UPDATE_SCREENSHOTS") == "1":
        page.screenshot(path=IMAGES / name)


def test_a_refund_from_the_visitors_question_to_the_auditors_timeline(
    shop: Shop, new_page: NewPage
) -> None:
    order = shop.order()
    visitor, visitor_watch = new_page("en-GB")
    mei, mei_watch = new_page("zh-CN", viewport=WIDE)
    lei, lei_watch = new_page("en-GB", viewport=WIDE)
    auditor, auditor_watch = new_page("en-GB", viewport=WIDE, color_scheme="dark")

    open_widget(visitor, shop.kefu.url)
    say(visitor, f"The mug of order {order} arrived broken. 杯子碎了。")
    enter(mei, shop.kefu, shop.staff("agent", "韩梅梅"))
    mei.get_by_test_id("conversation-row").filter(has_text=order).click()
    expect(mei.get_by_test_id("message")).to_have_count(1)
    expect(mei.get_by_test_id("refund-panel")).to_contain_text("还没有退款")

    # An order that nobody knows: what to do is said, in Chinese, and the form stays.
    mei.get_by_test_id("refund-request").click()
    mei.get_by_test_id("evidence-box").check()
    ask(mei, "NO-SUCH-ORDER", "39.00")
    problem = mei.get_by_test_id("dialog-problem")
    expect(problem).to_have_attribute("data-code", "order-not-found")
    expect(problem).to_contain_text("没有这个订单")
    ask(mei, order, "0")
    expect(problem).to_contain_text("大于 0")
    ask(mei, order, "39.00")
    expect(mei.get_by_role("dialog")).to_have_count(0)
    state_of(mei, "requested")

    # Four eyes: whoever asked can't approve, and is told so.
    expect(mei.get_by_test_id("refund-why-not")).to_contain_text("四眼原则")
    expect(mei.get_by_test_id("refund-approve")).to_have_count(0)
    expect(mei.get_by_test_id("refund-reject")).to_be_visible()
    expect(mei.get_by_test_id("thread-line")).to_contain_text(f"39.00 CNY（订单 {order}）")

    enter(lei, shop.kefu, shop.staff("agent", "Lei"))
    expect(lei.get_by_test_id("decision-count")).to_have_text("1")
    lei.get_by_test_id("page-refunds").click()
    lei.get_by_test_id("refund-mine").get_by_test_id("page-row").filter(has_text=order).click()
    expect(lei.get_by_test_id("refund-evidence")).to_contain_text(f"The mug of order {order}")
    lei.get_by_test_id("refund-approve").click()
    expect(lei.get_by_role("dialog")).to_contain_text(f"Approve 39.00 CNY for order {order}")
    lei.get_by_test_id("dialog-submit").click()
    state_of(lei, "completed")
    expect(lei.get_by_test_id("decision-count")).to_be_hidden()
    state_of(mei, "completed")
    expect(mei.get_by_test_id("thread-line").last).to_contain_text("已完成")

    notice = f"Your refund of 39.00 CNY for order {order} has been paid."
    expect(visitor.get_by_test_id("message").last).to_contain_text(notice)
    expect(mei.get_by_test_id("message").last).to_contain_text(notice)
    [payout] = shop.sandbox.ledger(order)["payouts"]
    path = f"/api/v1/refunds/{payout['refund_id']}"
    reference = shop.kefu.get(path, shop.kefu.login())[1]["reference"]

    # The auditor: every step with its key and the provider's reference, and nothing to press.
    enter(auditor, shop.kefu, shop.staff("auditor", "Audrey"))
    auditor.get_by_test_id("page-processes").click()
    auditor.get_by_test_id("page-filter").select_option("completed")
    auditor.get_by_test_id("page-row").last.click()
    timeline = auditor.get_by_test_id("saga-timeline").locator("> li")
    expect(timeline.first).to_have_attribute("data-type", re.compile(r"^saga\.started"))
    expect(timeline.last).to_have_attribute("data-type", re.compile(r"^saga\.finished"))
    paid = auditor.get_by_test_id("saga-table").locator('[data-step="payment"]')
    expect(paid).to_have_attribute("data-state", "done")
    expect(paid).to_contain_text(reference)
    expect(paid).to_contain_text(payout["key"])
    expect(auditor.get_by_test_id("saga-graph").locator("svg .now")).to_have_count(1)
    expect(auditor.get_by_test_id("page-detail").get_by_role("button")).to_have_count(0)
    picture(auditor, "process.png")
    auditor.get_by_test_id("saga-facts").get_by_role("link", name="Refund").click()
    expect(auditor.get_by_test_id("refund-facts")).to_contain_text("Lei (Agent)")
    expect(auditor.get_by_test_id("refund-facts")).to_contain_text(reference)
    auditor.keyboard.press("Escape")
    auditor.get_by_test_id("conversation-row").filter(has_text=order).click()
    state_of(auditor, "completed")
    expect(auditor.get_by_test_id("refund-request")).to_be_hidden()
    for watch in (visitor_watch, mei_watch, lei_watch, auditor_watch):
        assert watch.errors == []
        assert watch.foreign == []


def test_a_refund_is_asked_for_and_rejected_by_keyboard_alone(
    shop: Shop, new_page: NewPage
) -> None:
    order = shop.order()
    shop.conversation(f"keyboard only, order {order}")
    page, watch = new_page("en-GB", viewport=WIDE)
    enter(page, shop.kefu, shop.staff("agent", "Kim"))
    page.get_by_test_id("conversation-row").filter(has_text=order).focus()
    page.keyboard.press("Enter")
    expect(page.get_by_test_id("message")).to_have_count(1)
    page.get_by_test_id("thread").focus()
    page.keyboard.press("f")
    expect(page.get_by_test_id("refund-order")).to_be_focused()
    page.keyboard.type(order)
    page.keyboard.press("Tab")
    page.keyboard.type("12.5")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.type("Wrong colour")
    page.keyboard.press("Enter")
    state_of(page, "requested")
    expect(page.get_by_test_id("refund")).to_contain_text("12.50 CNY")
    page.get_by_test_id("refund-reject").focus()
    page.keyboard.press("Enter")
    page.keyboard.type("Asked for by mistake")
    page.keyboard.press("Enter")
    state_of(page, "rejected")
    expect(page.get_by_test_id("refund")).to_contain_text("Asked for by mistake")
    assert watch.errors == []


def test_a_parked_process_offers_each_what_their_role_allows_and_goes_on(
    shop: Shop, new_page: NewPage
) -> None:
    order = shop.order()
    refund = shop.refund(
        shop.conversation(f"park {order}"), order, "20.00", shop.staff("agent", "Asks")
    )
    shop.sandbox.faults({"fault": "decline", "operation": "erp.post_refund", "order": order})
    shop.kefu.post(f"/api/v1/refunds/{refund}/approve", {}, shop.kefu.login())

    agent, watch = new_page("en-GB", viewport=WIDE)
    enter(agent, shop.kefu, shop.staff("agent", "Ada"))
    agent.get_by_test_id("page-processes").click()
    agent.get_by_test_id("saga-first").get_by_test_id("page-row").click(timeout=PATIENCE_MS)
    parked = agent.get_by_test_id("saga-parked")
    expect(parked).to_contain_text("The provider said no for good")
    expect(parked.get_by_role("button")).to_have_text(["Retry"])
    expect(parked).to_contain_text("need an administrator")

    admin, _ = new_page("zh-CN", viewport=WIDE)
    enter(admin, shop.kefu, shop.staff("admin", "老板"))
    admin.goto(f"{shop.kefu.url}/console#processes/{refund}")
    expect(admin.get_by_test_id("saga-parked").get_by_role("button")).to_have_text(["重试", "跳过"])
    shop.sandbox.clear_faults()
    agent.get_by_test_id("saga-retry").click()
    agent.get_by_test_id("reason-input").fill("The ERP is repaired")
    agent.get_by_test_id("dialog-submit").click()
    finished = agent.get_by_test_id("page-detail").get_by_test_id("saga-status")
    expect(finished).to_have_attribute("data-status", "completed", timeout=PATIENCE_MS)
    timeline = agent.get_by_test_id("saga-timeline")
    expect(timeline).to_contain_text("The ERP is repaired")
    expect(timeline).to_contain_text("Ada (Agent)")
    assert watch.errors == []


def test_an_administrator_holds_a_conversation_as_evidence_and_erases_its_person(
    shop: Shop, new_page: NewPage
) -> None:
    shop.conversation("please forget me")
    page, watch = new_page("en-GB", viewport=WIDE)
    enter(page, shop.kefu, shop.staff("admin", "Boss"))
    page.get_by_test_id("conversation-row").filter(has_text="please forget me").click()

    def confirm(button: str, **fields: str) -> Any:
        page.get_by_test_id(button).click()
        for name, text in fields.items():
            page.get_by_test_id(name.replace("_", "-")).fill(text)
        page.get_by_test_id("dialog-submit").click()

    confirm("hold-button", reason_input="Court order 7/2026")
    expect(page.get_by_test_id("legal-hold")).to_contain_text("Court order 7/2026")
    expect(page.get_by_test_id("erase-button")).to_be_disabled()
    confirm("hold-button")
    expect(page.get_by_test_id("legal-hold")).to_be_hidden()

    confirm("erase-button", reason_input="The contact asked for it", erase_word="somebody else")
    expect(page.get_by_test_id("dialog-problem")).to_contain_text("not what was asked for")
    page.get_by_test_id("erase-word").fill("李雷")
    page.get_by_test_id("dialog-submit").click()
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(page.get_by_test_id("thread")).not_to_contain_text("please forget me")
    assert watch.errors == []

    agent, _ = new_page("en-GB", viewport=WIDE)
    shop.conversation("agents erase nobody")
    enter(agent, shop.kefu, shop.staff("agent", "Al"))
    agent.get_by_test_id("conversation-row").filter(has_text="agents erase nobody").click()
    expect(agent.get_by_test_id("message")).to_have_count(1)
    expect(agent.get_by_test_id("erase-button")).to_be_hidden()
