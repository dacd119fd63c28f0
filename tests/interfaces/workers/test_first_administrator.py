"""The first start makes one administrator, however often it is interrupted."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from application.queries.core import Credentials, FindCredentials
from interfaces.bootstrap.core import CoreRole
from interfaces.settings import Settings, load
from interfaces.workers.core import FIRST_ADMINISTRATOR, _ensure_administrator


@asynccontextmanager
async def started(settings: Settings) -> AsyncIterator[CoreRole]:
    """A core after its start, without a socket."""
    role = CoreRole(settings)
    await role.start()
    try:
        await _ensure_administrator(settings, role)
        yield role
    finally:
        await role._bus.close()
        role._log.close()


async def _credentials(role: CoreRole, email: str) -> Credentials:
    found = await role.core.query(FindCredentials(email))
    assert isinstance(found, Credentials)
    return found


async def test_a_one_time_password_is_printed_once_and_works(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = load({}, data_dir=tmp_path)
    async with started(settings) as role:
        (line,) = (x for x in capsys.readouterr().out.splitlines() if x.startswith("one-time"))
        password = line.rpartition(" ")[2]
        found = await _credentials(role, settings.admin_email)
        assert role.passwords.verify(found.password_hash, password)
        assert found.must_change_password
    async with started(settings):
        assert "password" not in capsys.readouterr().out


async def test_a_password_of_the_settings_is_not_printed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = load({"KEFU_ADMIN_PASSWORD": "correct horse"}, data_dir=tmp_path)
    async with started(settings) as role:
        found = await _credentials(role, settings.admin_email)
        assert role.passwords.verify(found.password_hash, "correct horse")
        assert not found.must_change_password
    assert "correct horse" not in "".join(capsys.readouterr())


async def test_another_address_in_the_settings_makes_no_second_administrator(
    tmp_path: Path,
) -> None:
    async with started(load({}, data_dir=tmp_path)):
        pass
    settings = load({"KEFU_ADMIN_EMAIL": "boss@shop.example"}, data_dir=tmp_path)
    async with started(settings) as role:
        assert await role.core.query(FindCredentials("boss@shop.example")) is None
        assert (await _credentials(role, "admin@localhost")).agent_id == FIRST_ADMINISTRATOR
