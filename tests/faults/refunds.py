"""Refunds over real processes: a core, an effect worker and a sandbox, each killed at will.

No database: sagas need none.
"""

import asyncio
import base64
import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import reduce
from pathlib import Path
from typing import Any

from application import codec
from application.commands.access import StartVisitorSession
from application.commands.order import RegisterOrder
from application.commands.refund import ApproveRefund, RequestRefund
from application.commands.saga import OperateSaga
from application.ports.core import Request
from application.ports.event_store import RecordedEvent
from domain.actors import SYSTEM, Actor, ActorKind, Role
from domain.errors import InfrastructureError
from domain.order import order as orders
from domain.saga import saga as sagas
from domain.saga.events import OperatorAction
from domain.saga.state import Saga, Status
from infrastructure.eventlog.reader import LogReader
from infrastructure.ipc.client import CoreClient
from interfaces import settings as all_settings
from tests import sandbox as sandboxes
from tests.sandbox import Sandbox
from tests.serving import Kefu, free_port, wait_until

ALICE = Actor(ActorKind.AGENT, "alice", "Alice", Role.AGENT)
BOB = Actor(ActorKind.AGENT, "bob", "Bob", Role.ADMIN)
PATIENCE_S = 60.0
QUICK = {
    "KEFU_SAGA_FIRST_DELAY_S": "0.05",
    "KEFU_SAGA_LONGEST_DELAY_S": "0.2",
    "KEFU_SAGA_CALL_TIMEOUT_S": "1",
    # Nobody listens there, and nothing here needs the views.
    "KEFU_DATABASE_URL": "postgresql://nobody@127.0.0.1:1/nothing",
}


class System:
    """The processes, and what a test asks them."""

    def __init__(
        self, directory: Path, sandbox: Sandbox, port: int, *, web: bool, **environment: str
    ) -> None:
        self._web = web
        provider = {"KEFU_PAYMENT_URL": sandbox.url, "KEFU_ERP_URL": sandbox.url}
        self.sandbox = sandbox
        self.kefu = Kefu(directory / "data", port, {**QUICK, **provider, **environment})
        self._environment = environment
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self._output = self.kefu.log_file.open("ab")
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._core: CoreClient | None = None
        self._numbers = iter(range(1, 1_000_000))
        self.conversation_id = ""

    # -- processes --------------------------------------------------------------------------

    def start(self) -> None:
        self.begin("core")
        socket = all_settings.load(self.kefu.full_environment()).core_socket
        wait_until(socket.exists, PATIENCE_S, "the core listens")
        self._core = CoreClient(socket)
        self._await(self._core.open())
        self.begin("automation")
        if self._web:
            self.begin("web")
            wait_until(lambda: self.kefu.get("/healthz")[0] == 200, PATIENCE_S, "web listens")
        self.conversation_id = str(uuid.uuid4())
        session = StartVisitorSession(
            "token", time.time_ns(), str(uuid.uuid4()), self.conversation_id
        )
        self.execute(session)
        # One to see that all of it works; the worker may find it begun, and ask before it calls.
        assert_paid_once(self, self.refund())

    def begin(self, role: str, **environment: str) -> None:
        command = self.kefu.command("serve", "--role", role)
        if "KEFU_TEST_DIE_AT" in environment:
            command = [sys.executable, "-m", "tests.faults.mortal_worker"]
        elif any(name.startswith("KEFU_TEST_") for name in {**environment, **self._environment}):
            command = [sys.executable, "-m", "tests.faults.patched_role", role]
        self.processes[role] = subprocess.Popen(
            command,
            env={**self.kefu.full_environment(), **environment},
            stdout=self._output,
            stderr=self._output,
        )

    def kill(self, role: str) -> None:
        process = self.processes[role]
        assert process.poll() is None, f"{role} ended by itself: {self.kefu.output()[-2000:]}"
        process.kill()
        process.wait()

    def kill_and_begin(self, role: str) -> None:
        self.kill(role)
        self.begin(role)

    def wait_dead(self, role: str) -> None:
        """It has killed itself."""
        assert self.processes[role].wait(PATIENCE_S) == -signal.SIGKILL, self.kefu.output()[-2000:]

    def close(self) -> None:
        for process in self.processes.values():
            if process.poll() is None:
                process.terminate()
        for process in self.processes.values():
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        if self._core is not None:
            self._await(self._core.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._output.close()

    # -- commands ---------------------------------------------------------------------------

    def execute(self, command: Any, actor: Actor = SYSTEM) -> dict[str, Any]:
        """Sent again until the core answers."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                request = Request(command, actor, "test")
                return self._await(self._started.execute(request)).result  # type: ignore[no-any-return]
            except InfrastructureError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)

    @property
    def _started(self) -> CoreClient:
        assert self._core is not None
        return self._core

    def order(self, total: int = 1_000, name: str = "") -> str:
        reference = name or f"O-{next(self._numbers)}"
        self.execute(RegisterOrder(reference, total, "CNY"))
        return reference

    def request(self, order: str, amount: int = 400) -> str:
        id = str(uuid.uuid4())
        self.execute(RequestRefund(id, self.conversation_id, order, amount, "CNY", "broken"), ALICE)
        return id

    def approve(self, id: str) -> dict[str, Any]:
        return self.execute(ApproveRefund(id), BOB)

    def refund(self, order: str = "", amount: int = 400) -> str:
        """One that is approved."""
        id = self.request(order or self.order(), amount)
        assert self.approve(id)["status"] == "approved"
        return id

    def operate(self, id: str, action: OperatorAction, reference: str | None = None) -> None:
        self.execute(OperateSaga(id, action, "looked into it", reference), BOB)

    # -- what the log says ------------------------------------------------------------------

    def recorded(self, stream: str) -> list[RecordedEvent]:
        """From the files, as an auditor reads them."""
        reader = LogReader(self.kefu.data_dir / "log")
        try:
            return [one for one in reader.read(0, 1_000_000) if one.stream == stream]
        finally:
            reader.close()

    def events(self, stream: str) -> list[Any]:
        """Decoded."""
        return [codec.decode(one.type, one.payload) for one in self.recorded(stream)]

    def saga(self, id: str) -> Saga:
        return reduce(sagas.evolve, self.events(f"saga-{id}"), Saga(id))

    def last_of(self, id: str) -> str:
        """What happened last to a refund, for example `settled`."""
        return self.recorded(f"refund-{id}")[-1].type.split(".")[1]

    def order_state(self, reference: str) -> orders.Order:
        id = orders.order_id(reference)
        return reduce(orders.evolve, self.events(f"order-{id}"), orders.Order(id))

    def names(self, id: str) -> list[str]:
        return [type(event).__name__ for event in self.events(f"saga-{id}")]

    def wait_for(self, id: str, *statuses: Status) -> Saga:
        return self.wait(id, lambda saga: saga.status in statuses, f"{statuses}")

    def wait(self, id: str, condition: Callable[[Saga], bool], what: str) -> Saga:
        def met() -> Saga | None:
            for role, process in self.processes.items():
                assert process.poll() is None, f"{role}: {self.kefu.output()[-3000:]}"
            saga = self.saga(id)
            return saga if condition(saga) else None

        try:
            return wait_until(met, PATIENCE_S, what)  # type: ignore[no-any-return]
        except AssertionError as error:
            raise AssertionError(f"{error}; {self.events(f'saga-{id}')[-6:]}") from None

    def payouts(self, id: str) -> dict[str, int]:
        """How many payouts of a refund are in which state, by the provider's ledger."""
        found: dict[str, int] = self.sandbox.ledger()["by_refund"].get(id, {})
        return found

    def _await(self, coroutine: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(PATIENCE_S)


@contextmanager
def refund_system(
    directory: Path, *options: str, callbacks: bool = False, **environment: str
) -> Iterator[System]:
    """All three, running; with `callbacks` a web role, too, and a sandbox that tells it."""
    port = free_port()
    if callbacks:
        secret = directory / "secret"
        secret.write_text("whsec_" + base64.b64encode(os.urandom(24)).decode())
        url = f"http://127.0.0.1:{port}/api/v1/providers/payment/callbacks"
        options = (*options, "--callback-url", url, "--callback-secret-file", str(secret))
        environment = {**environment, "KEFU_PAYMENT_CALLBACK_SECRETS_FILE": str(secret)}
    with sandboxes.running(directory / "sandbox", *options) as sandbox:
        system = System(directory, sandbox, port, web=callbacks, **environment)
        try:
            system.start()
            yield system
        finally:
            system.close()


def assert_paid_once(system: System, id: str) -> None:
    """The refund is completed, and everybody outside has done their part exactly once."""
    saga = system.wait_for(id, Status.COMPLETED)
    assert saga.given_up == ()
    assert system.payouts(id)["settled"] == 1
    assert sum(system.payouts(id)[state] for state in ("pending", "failed", "reversed")) == 0
    ledger = system.sandbox.ledger()
    for kind in ("returns", "postings"):
        assert [one["state"] for one in ledger[kind] if id in one["action_key"]] == ["done"], (
            ledger[kind]
        )
    assert system.last_of(id) == "completed"


def assert_nothing_left(system: System, id: str) -> None:
    """The refund has failed, nothing was paid, and nothing of it is left outside."""
    system.wait_for(id, Status.COMPENSATED)
    payouts = system.payouts(id)
    assert not payouts or payouts["settled"] + payouts["pending"] == 0
    ledger = system.sandbox.ledger()
    for kind in ("returns", "postings"):
        assert all(one["state"] != "done" for one in ledger[kind] if id in one["action_key"])
    assert system.last_of(id) == "failed"
