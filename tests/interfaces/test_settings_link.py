"""Settings of the link: nothing starts half-protected, and the error says what to do."""

import pytest

from domain.errors import InvalidInput
from interfaces.cli.roles import run_role
from interfaces.link_settings import link_address
from interfaces.settings import load
from interfaces.workers.supervisor import _roles

FILES = {
    "KEFU_LINK_CERTIFICATE": "/etc/kefu/link.pem",
    "KEFU_LINK_KEY": "/etc/kefu/link.key",
    "KEFU_LINK_CA": "/etc/kefu/ca.pem",
}
LISTEN = {"KEFU_LINK_LISTEN": "0.0.0.0:7443", **FILES}
DIAL = {
    "KEFU_LINK_URL": "log.internal:7443",
    "KEFU_DATABASE_URL": "postgresql://kefu@db/kefu",
    **FILES,
}


@pytest.mark.parametrize("end", [LISTEN, DIAL])
@pytest.mark.parametrize("missing", FILES)
def test_without_certificates_there_is_no_link(end: dict[str, str], missing: str) -> None:
    given = {name: value for name, value in end.items() if name != missing}
    with pytest.raises(InvalidInput, match=r"needs KEFU_LINK_CERTIFICATE.*several-machines"):
        load(given)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({**DIAL, "KEFU_DATABASE_URL": ""}, "KEFU_LINK_URL needs KEFU_DATABASE_URL"),
        ({**DIAL, **LISTEN}, "KEFU_LINK_LISTEN is for the machine of the log"),
        ({**DIAL, "KEFU_GATEWAYS": "0"}, "KEFU_LINK_URL is for gateways"),
        ({**LISTEN, "KEFU_GATEWAYS": "0"}, "KEFU_LINK_LISTEN needs a gateway"),
        ({**LISTEN, "KEFU_LINK_LISTEN": "7443"}, "KEFU_LINK_LISTEN must be host:port"),
        ({**DIAL, "KEFU_LINK_URL": "https://log:7443"}, "KEFU_LINK_URL must be host:port"),
        ({**DIAL, "KEFU_LINK_URL": "log:99999"}, "KEFU_LINK_URL must be host:port"),
    ],
)
def test_what_could_not_work_is_refused_at_the_start(given: dict[str, str], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        load(given)


def test_addresses_of_ipv6_stand_in_brackets() -> None:
    assert link_address("x", "[::1]:7443") == ("::1", 7443)
    assert link_address("x", "log.internal:1") == ("log.internal", 1)


def test_with_a_link_there_is_its_role_and_on_the_other_machine_only_gateways() -> None:
    assert "link" in {role.name for role in _roles(load(LISTEN), 0)}
    assert "link" not in {role.name for role in _roles(load({}), 0)}
    remote = load({**DIAL, "KEFU_GATEWAYS": "2"})
    assert [role.name for role in _roles(remote, 0)] == ["gateway-1", "gateway-2"]


@pytest.mark.parametrize("role", ["core", "web", "projector", "automation", "link"])
def test_other_roles_do_not_run_on_the_other_machine(role: str) -> None:
    with pytest.raises(InvalidInput, match="KEFU_LINK_URL is for gateways"):
        run_role(role, load(DIAL))
