"""Which address is the client's (RFC 7239, X-Forwarded-For), and which origins may connect."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import InvalidInput
from interfaces.gateway.addresses import (
    MAX_HOPS,
    NOBODY,
    AllowedOrigins,
    Client,
    TrustedNetworks,
    client,
)

PROXIES = TrustedNetworks("10.0.0.0/8, 192.0.2.10, 2001:db8:ff::/48")
PEER = "10.0.0.1"


def by_for(*values: str, peer: str = PEER) -> str:
    return client(peer, PROXIES, x_forwarded_for=values).address


def by_forwarded(*values: str, peer: str = PEER) -> Client:
    return client(peer, PROXIES, forwarded=values)


# Whose word counts.


@pytest.mark.parametrize("peer", ["203.0.113.9", "2001:db8::9", "192.0.2.11"])
def test_headers_of_others_than_trusted_proxies_are_never_believed(peer: str) -> None:
    found = client(
        peer,
        PROXIES,
        forwarded=["for=198.51.100.1;proto=https"],
        x_forwarded_for=["198.51.100.1"],
        x_forwarded_proto=["https"],
    )
    assert found == Client(peer, None)


def test_by_default_nobody_is_trusted() -> None:
    assert not NOBODY
    assert client("127.0.0.1", NOBODY, x_forwarded_for=["1.1.1.1"]) == Client("127.0.0.1", None)


@pytest.mark.parametrize("peer", ["10.255.0.1", "192.0.2.10", "2001:db8:ff::1", "::ffff:10.0.0.1"])
def test_a_trusted_peers_header_is_believed(peer: str) -> None:
    assert by_for("198.51.100.1", peer=peer) == "198.51.100.1"


def test_the_list_is_walked_from_the_right_over_trusted_hops_only() -> None:
    assert by_for("1.1.1.1, 198.51.100.1, 10.0.0.3, 10.0.0.2") == "198.51.100.1"
    assert by_for("1.1.1.1", "198.51.100.1, 10.0.0.3") == "198.51.100.1"
    found = by_forwarded("for=1.1.1.1, for=198.51.100.1;proto=https", "for=10.0.0.3;proto=http")
    assert found == Client("198.51.100.1", "https")


def test_when_every_hop_is_trusted_the_first_is_the_client() -> None:
    assert by_for("10.0.0.4, 10.0.0.3") == "10.0.0.4"
    assert by_forwarded("for=10.0.0.4, for=10.0.0.3").address == "10.0.0.4"


@given(st.text(max_size=200))
def test_what_a_client_put_in_front_changes_nothing(invented: str) -> None:
    assert by_for(invented + ", 198.51.100.1") == "198.51.100.1"
    assert by_for(invented, "198.51.100.1") == "198.51.100.1"
    assert by_forwarded(invented, "for=198.51.100.1").address == "198.51.100.1"
    # In one line a quote of the client's may swallow the rest: then nothing is believed.
    assert by_forwarded(invented + ", for=198.51.100.1").address in ("198.51.100.1", PEER)


@pytest.mark.parametrize("invented", ['for=6.6.6.6;x="', 'for="6.6.6.6', '"', "for=6.6.6.6;x=\\"])
@pytest.mark.parametrize("written", ["for=198.51.100.1", 'for="[2001:db8::1]:4711"'])
def test_a_quote_that_the_client_left_open_does_not_make_it_another(
    invented: str, written: str
) -> None:
    assert by_forwarded(f"{invented}, {written}").address == PEER


# Forms.


@pytest.mark.parametrize(
    ("node", "address"),
    [
        ("198.51.100.1", "198.51.100.1"),
        ("198.51.100.1:4711", "198.51.100.1"),
        ("2001:DB8:0::1", "2001:db8::1"),
        ("[2001:db8::1]", "2001:db8::1"),
        ("[2001:db8::1]:4711", "2001:db8::1"),
        ("::ffff:198.51.100.1", "198.51.100.1"),
        ("\t198.51.100.1 ", "198.51.100.1"),
    ],
)
def test_an_address_has_one_form_however_it_is_written(node: str, address: str) -> None:
    assert by_for(node) == address
    assert by_forwarded(f'For="{node}"').address == address
    if ":" not in node:
        assert by_forwarded(f"for={node.strip()}").address == address


@pytest.mark.parametrize(
    "value",
    ["", " ", "unknown", "localhost", "198.51.100", "1.2.3.4.5", "[2001:db8::1", "1.1.1.1,", "::g"],
)
def test_a_malformed_x_forwarded_for_gives_the_peer(value: str) -> None:
    assert by_for(value) == PEER


@pytest.mark.parametrize(
    "value",
    [
        "",
        "for",
        "for=",
        "198.51.100.1",
        "for=198.51.100.1;",
        "for=198.51.100.1,",
        "for=198.51.100.1 for=1.1.1.1",
        "for=198.51.100.1;for=1.1.1.1",
        'for="198.51.100.1',
        "by=198.51.100.1",
        "for=nobody",
        "for=198.51.100.1;x=" + "y" * 4096,
    ],
)
def test_a_malformed_forwarded_gives_the_peer(value: str) -> None:
    assert by_forwarded(value) == Client(PEER, None)


@pytest.mark.parametrize("hidden", ["unknown", "_SEVKISEK", '"_gazonk:_p"'])
def test_behind_a_hidden_node_the_last_known_proxy_stands(hidden: str) -> None:
    assert by_forwarded(f"for=198.51.100.1, for={hidden}, for=10.0.0.2").address == "10.0.0.2"
    assert by_forwarded(f"for={hidden}").address == PEER


def test_a_list_of_more_hops_than_the_bound_gives_the_peer() -> None:
    hops = ["10.0.0.2"] * (MAX_HOPS - 1)
    assert by_for(", ".join(["198.51.100.1", *hops])) == "198.51.100.1"
    assert by_for(", ".join(["198.51.100.1", "10.0.0.2", *hops])) == PEER
    elements = [f"for={hop}" for hop in hops]
    assert by_forwarded(", ".join(["for=198.51.100.1", *elements])).address == "198.51.100.1"
    longer = ["for=198.51.100.1", "for=10.0.0.2", *elements]
    assert by_forwarded(", ".join(longer)).address == PEER


def test_a_line_of_a_million_characters_is_no_work() -> None:
    assert by_for("1," * 500_000 + "198.51.100.1") == "198.51.100.1"
    assert by_forwarded('for="' * 200_000).address == PEER


# Both headers, and the scheme.


def test_two_headers_that_name_different_clients_are_both_not_believed() -> None:
    """A proxy that writes only X-Forwarded-For passes on a Forwarded that its client made up."""
    found = client(PEER, PROXIES, forwarded=["for=6.6.6.6"], x_forwarded_for=["198.51.100.1"])
    assert found.address == PEER
    found = client(PEER, PROXIES, forwarded=["for=198.51.100.1"], x_forwarded_for=["198.51.100.1"])
    assert found.address == "198.51.100.1"
    found = client(PEER, PROXIES, forwarded=["what?"], x_forwarded_for=["198.51.100.1"])
    assert found.address == PEER


@pytest.mark.parametrize(
    ("forwarded", "proto", "scheme"),
    [
        ([], ["https"], "https"),
        ([], ["HTTP"], "http"),
        ([], ["http, https"], "https"),
        ([], ["gopher"], None),
        ([], [], None),
        (["for=198.51.100.1;proto=https"], ["http"], "https"),
        (["for=198.51.100.1;proto=ftp"], [], None),
    ],
)
def test_the_scheme_is_http_or_https_or_not_known(
    forwarded: list[str], proto: list[str], scheme: str | None
) -> None:
    found = client(
        PEER,
        PROXIES,
        forwarded=forwarded,
        x_forwarded_for=["198.51.100.1"],
        x_forwarded_proto=proto,
    )
    assert found == Client("198.51.100.1", scheme)


def test_a_proxy_may_tell_the_scheme_alone() -> None:
    assert client(PEER, PROXIES, x_forwarded_proto=["https"]) == Client(PEER, "https")


@given(st.lists(st.text(max_size=60), max_size=3), st.lists(st.text(max_size=60), max_size=3))
def test_any_headers_give_an_address_and_no_error(left: list[str], right: list[str]) -> None:
    assert client(PEER, PROXIES, forwarded=left, x_forwarded_for=right).address


# Settings.


@pytest.mark.parametrize("text", ["10.0.0.1/8", "localhost", "10.0.0.0/33", "::1/129", "*"])
def test_what_is_no_network_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="no address or network"):
        TrustedNetworks(text)


@pytest.mark.parametrize("text", ["", "*", " * "])
@pytest.mark.parametrize("origin", [None, "null", "https://anything.example"])
def test_any_origin_may_connect_by_default(text: str, origin: str | None) -> None:
    assert AllowedOrigins(text).allows(origin)


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [
        ("https://shop.example", True),
        ("HTTPS://SHOP.example:443", True),
        ("http://localhost:3000", True),
        (None, True),
        ("http://shop.example", False),
        ("https://shop.example:8443", False),
        ("https://shop.example.evil.example", False),
        ("https://www.shop.example", False),
        ("http://localhost", False),
        ("null", False),
        ("", False),
        ("https://[", False),
        ("https://shop.example:port", False),
        ("https://shop.example@evil.example", False),
    ],
)
def test_with_a_list_only_its_origins_may_connect(origin: str | None, allowed: bool) -> None:
    origins = AllowedOrigins("https://shop.example, http://localhost:3000/")
    assert origins.allows(origin) is allowed


@pytest.mark.parametrize(
    "text", ["shop.example", "https://shop.example/page", "ftp://x", "null", "*, https://x.example"]
)
def test_what_is_no_origin_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="no origin"):
        AllowedOrigins(text)
