"""Signed notes: what Go wrote opens here, and what was changed opens nowhere."""

import pytest

from infrastructure.transparency.errors import BadKey, BadNote
from infrastructure.transparency.signed_note import (
    Checkpoint,
    Signer,
    load_signer,
    new_private_key,
    open_checkpoint,
    parse_checkpoint,
    parse_vkey,
)

# From the documentation of golang.org/x/mod/sumdb/note.
GO_VKEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
GO_NOTE = (
    "If you think cryptography is the answer to your problem,\n"
    "then you don't know what your problem is.\n"
    "\n"
    "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb"
    "6KE6RyyBwJnAM=\n"
)


@pytest.fixture
def signer() -> Signer:
    return load_signer("log.example/kefu", new_private_key())


def test_a_note_that_go_signed_opens() -> None:
    verifier = parse_vkey(GO_VKEY)
    assert verifier.name == "PeterNeumann"
    assert verifier.vkey == GO_VKEY
    assert verifier.open(GO_NOTE.encode()).startswith("If you think")


def test_a_checkpoint_opens_with_its_own_key_only(signer: Signer) -> None:
    found = Checkpoint("log.example/kefu", 7, bytes(32))
    note = signer.sign(found.text())
    assert signer.sign(found.text()) == note
    assert open_checkpoint(note, parse_vkey(signer.verifier.vkey)) == found
    other = load_signer("log.example/kefu", new_private_key()).verifier
    with pytest.raises(BadNote, match="not signed by"):
        open_checkpoint(note, other)
    cosigned = note + "— witness.example AAAAAAECAwQF\n".encode()
    assert open_checkpoint(cosigned, signer.verifier) == found


def test_no_changed_byte_of_a_note_is_taken(signer: Signer) -> None:
    note = signer.sign(Checkpoint("log.example/kefu", 7, bytes(32)).text())
    for at in range(len(note)):
        with pytest.raises(BadNote):
            open_checkpoint(note[:at] + bytes([note[at] ^ 1]) + note[at + 1 :], signer.verifier)
        with pytest.raises(BadNote):
            open_checkpoint(note[:at], signer.verifier)


def test_a_checkpoint_under_another_origin_is_refused(signer: Signer) -> None:
    note = signer.sign(Checkpoint("other.example", 7, bytes(32)).text())
    with pytest.raises(BadNote, match=r"other\.example"):
        open_checkpoint(note, signer.verifier)


@pytest.mark.parametrize("text", ["", "a\n1\n", "a\n01\n\n", "a\n-1\nAAAA\n", "a\n1\nAAAA\n"])
def test_what_is_no_checkpoint_is_refused(text: str) -> None:
    with pytest.raises(BadNote):
        parse_checkpoint(text)


@pytest.mark.parametrize(
    "vkey", ["", "a", "a+b+c", GO_VKEY.replace("c74f", "c74e"), GO_VKEY[:-4], "x y" + GO_VKEY]
)
def test_what_is_no_verifier_key_is_refused(vkey: str) -> None:
    with pytest.raises(BadKey):
        parse_vkey(vkey)


@pytest.mark.parametrize("name", ["", "a b", "a+b", "a\nb"])
def test_a_log_can_not_have_every_name(name: str) -> None:
    with pytest.raises(BadKey):
        load_signer(name, new_private_key())


def test_another_kind_of_key_is_refused() -> None:
    with pytest.raises(BadKey, match="PEM"):
        load_signer("a", b"not a key")
