"""Real Chromium, driven by Playwright; nothing is downloaded."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from tests.tools import require

_ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


# Not for the session: Playwright's event loop counts as running in this thread until it ends, and
# no async test of another folder could run.
@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    path = require("chromium")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=_ARGUMENTS)
        yield chromium
        chromium.close()


class Watched:
    """What went wrong in a page's background."""

    def __init__(self) -> None:
        self.foreign: list[str] = []
        self.errors: list[str] = []


@pytest.fixture
def new_page(browser: Browser) -> Iterator[Callable[..., tuple[Page, Watched]]]:
    """Pages in contexts of their own, watched for script errors and foreign requests."""
    contexts: list[BrowserContext] = []

    def make(lang: str = "zh-CN", **options: Any) -> tuple[Page, Watched]:
        context = browser.new_context(locale=lang, **options)
        contexts.append(context)
        page = context.new_page()
        watched = Watched()
        page.on("pageerror", lambda error: watched.errors.append(str(error)))
        page.on(
            "request",
            lambda request: (
                watched.foreign.append(request.url)
                if not request.url.startswith(("http://127.0.0.1:", "data:"))
                else None
            ),
        )
        return page, watched

    yield make
    for context in contexts:
        context.close()
