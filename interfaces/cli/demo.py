"""`kefu demo`: fills a running kefu with conversations, through its public API alone."""

import asyncio
import random
from collections.abc import Callable
from typing import Annotated, Any

import httpx
import typer

from interfaces.cli.demo_texts import NAMES, STORIES, Story
from interfaces.cli.options import AsJson
from interfaces.cli.output import fail, out, print_json, progress_bar

app = typer.Typer(add_completion=False)
_AGENTS = ("梅 Mei", "Tom", "小雨")
_IN_FLIGHT = 16
_RETRIES = 60


@app.command("demo")
def demo(
    conversations: Annotated[int, typer.Option("--conversations", "-n", min=1)] = 50,
    url: Annotated[str, typer.Option(help="Of the running system.")] = "http://127.0.0.1:8000",
    email: Annotated[
        str, typer.Option(envvar="KEFU_ADMIN_EMAIL", help="An administrator's email.")
    ] = "admin@localhost",
    password: Annotated[
        str,
        typer.Option(
            envvar="KEFU_ADMIN_PASSWORD", prompt=True, hide_input=True, help="Its password."
        ),
    ] = "",
    seed: Annotated[int, typer.Option(help="The same seed, the same stories.")] = 1,
    as_json: AsJson = False,
) -> None:
    """Fill a running kefu with realistic conversations in Chinese and English."""
    with progress_bar("demo", quiet=as_json) as progress:
        try:
            told = asyncio.run(_fill(url, email, password, conversations, seed, progress))
        except httpx.HTTPStatusError as error:
            detail = error.response.json().get("detail", error.response.text)
            raise fail(f"{error.request.url.path}: {detail}", 1) from None
        except httpx.TransportError as error:
            raise fail(f"nobody answers at {url}: {error}", 1) from None
    if as_json:
        print_json(told)
    else:
        out.print(f"{told['conversations']} conversations, {told['messages']} messages")


async def _fill(
    url: str,
    email: str,
    password: str,
    count: int,
    seed: int,
    progress: Callable[[int, int], None],
) -> dict[str, int]:
    limits = httpx.Limits(max_connections=_IN_FLIGHT)
    async with httpx.AsyncClient(base_url=f"{url}/api/v1", limits=limits, timeout=30) as http:
        login = await _post(http, "/auth/login", {"email": email, "password": password})
        agents = await _agents(http, login["token"])
        slots = asyncio.Semaphore(_IN_FLIGHT)
        done = messages = 0

        async def one(number: int) -> None:
            nonlocal done, messages
            async with slots:
                teller = _Teller(http, agents, random.Random(seed * 1_000_003 + number))
                messages += await teller.tell(STORIES[number % len(STORIES)])
            done += 1
            progress(done, count)

        await asyncio.gather(*(one(number) for number in range(count)))
    return {"conversations": done, "messages": messages}


async def _agents(http: httpx.AsyncClient, admin: str) -> list[dict[str, str]]:
    """Demo agents; those of an earlier run stay as they are and new ones join them."""
    found = []
    for name in _AGENTS:
        body = {
            "email": f"demo-{random.SystemRandom().randrange(10**9)}@kefu.example",
            "name": name,
            "password": f"demo-{random.SystemRandom().randrange(10**15)}",
        }
        created = await _post(http, "/agents", body, admin)
        login = {key: body[key] for key in ("email", "password")}
        answer = await _post(http, "/auth/login", login)
        found.append({"id": created["id"], "token": answer["token"]})
    return found


class _Teller:
    """One conversation, told by its visitor and an agent."""

    def __init__(
        self, http: httpx.AsyncClient, agents: list[dict[str, str]], chance: random.Random
    ) -> None:
        self._http = http
        self._chance = chance
        self._agent = chance.choice(agents)

    async def tell(self, story: Story) -> int:
        """Returns the number of messages."""
        language, label, lines = story
        chance = self._chance
        contact = {"name": chance.choice(NAMES[language])}
        session = await _post(self._http, "/widget/sessions", {"contact": contact})
        path = f"/conversations/{session['conversation_id']}"
        order, amount = str(chance.randrange(10**7, 10**8)), str(chance.randrange(20, 400))
        for who, text in lines:
            body: dict[str, Any] = {"content": text.format(order=order, amount=amount)}
            if who == "n":
                body["private"] = True
            token = session["token"] if who == "v" else self._agent["token"]
            await _post(self._http, f"{path}/messages", body, token)
        if len(lines) > 1:
            await self._work(path, label)
        return len(lines)

    async def _work(self, path: str, label: str) -> None:
        token, chance = self._agent["token"], self._chance
        await _post(self._http, f"{path}/assignments", {"assignee_id": self._agent["id"]}, token)
        await _post(self._http, f"{path}/labels", {"labels": [label]}, token)
        if chance.random() < 0.2:
            body = {"priority": chance.choice(["low", "high", "urgent"])}
            await _post(self._http, f"{path}/toggle_priority", body, token)
        status = chance.choices(["open", "resolved", "snoozed"], [6, 3, 1])[0]
        if status != "open":
            await _post(self._http, f"{path}/toggle_status", {"status": status}, token)


async def _post(
    http: httpx.AsyncClient, path: str, body: dict[str, Any], token: str | None = None
) -> Any:
    """A POST that waits as the server says when it is limited or busy."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    for _ in range(_RETRIES):
        answer = await http.post(path, json=body, headers=headers)
        if answer.status_code not in (429, 503):
            break
        await asyncio.sleep(float(answer.headers.get("Retry-After", "1")))
    answer.raise_for_status()
    return answer.json()
