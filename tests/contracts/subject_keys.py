"""What every store of subjects' keys must do; an adapter's test inherits it."""

from collections.abc import Callable

import pytest

from application.ports.subject_keys import SealBroken, SubjectKeyMissing, SubjectKeys
from domain.errors import ContactErased

Open = Callable[[], SubjectKeys]
"""Opens the store; each call as another process would."""


class SubjectKeysContract:
    """Inherit it and give a fixture `open_keys`."""

    def test_a_subject_has_one_key_and_another_subject_another(self, open_keys: Open) -> None:
        keys = open_keys()
        one, again, other = (keys.of_subject(id) for id in ("a", "a", "b"))
        assert one.id == again.id != other.id
        sealed = one.seal(b"text", b"place")
        assert again.open(sealed, b"place") == b"text"
        with pytest.raises(SealBroken):
            other.open(sealed, b"place")

    def test_two_seals_of_the_same_text_differ(self, open_keys: Open) -> None:
        key = open_keys().of_subject("a")
        assert key.seal(b"text", b"place") != key.seal(b"text", b"place")

    def test_a_key_that_was_saved_opens_in_another_process(self, open_keys: Open) -> None:
        keys = open_keys()
        key = keys.of_subject("a")
        sealed = key.seal(b"text", b"place")
        assert keys.unsaved
        keys.save()
        assert not keys.unsaved
        other = open_keys()
        assert other.key_id("a") == key.id
        assert other.of_subject("a").open(sealed, b"place") == b"text"
        found = other.get(key.id)
        assert found is not None
        assert found.open(sealed, b"place") == b"text"

    def test_a_key_that_was_not_saved_is_gone_with_the_process(self, open_keys: Open) -> None:
        key = open_keys().of_subject("a")
        other = open_keys()
        assert other.key_id("a") is None
        with pytest.raises(SubjectKeyMissing, match=key.id):
            other.get(key.id)

    def test_a_new_key_opens_before_it_is_saved(self, open_keys: Open) -> None:
        keys = open_keys()
        key = keys.of_subject("a")
        assert keys.get(key.id) is not None
        assert keys.key_id("a") == key.id

    def test_a_destroyed_key_is_none_everywhere_and_its_subject_gets_no_other(
        self, open_keys: Open
    ) -> None:
        keys = open_keys()
        key, other = keys.of_subject("a"), keys.of_subject("b")
        keys.save()
        assert not keys.is_destroyed("a")
        keys.destroy("a")
        keys.destroy("a")
        for store in (keys, open_keys()):
            assert store.is_destroyed("a")
            assert store.get(key.id) is None
            assert store.key_id("a") == key.id
            with pytest.raises(ContactErased):
                store.of_subject("a")
            assert store.of_subject("b").id == other.id

    def test_a_subject_without_a_key_can_be_destroyed_too(self, open_keys: Open) -> None:
        keys = open_keys()
        keys.destroy("a")
        assert keys.is_destroyed("a")
        assert keys.key_id("a") is None
        with pytest.raises(ContactErased):
            keys.of_subject("a")

    def test_a_forgotten_key_is_none_whatever_the_store_has(self, open_keys: Open) -> None:
        keys = open_keys()
        key = keys.of_subject("a")
        keys.save()
        reader = open_keys()
        assert reader.get(key.id) is not None
        reader.forget(key.id)
        assert reader.get(key.id) is None
