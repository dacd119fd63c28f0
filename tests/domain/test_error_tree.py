"""Codes of errors are part of the public contract."""

from domain.errors import KefuError


def all_errors(cls: type[KefuError] = KefuError) -> list[type[KefuError]]:
    return [cls, *(e for sub in cls.__subclasses__() for e in all_errors(sub))]


def test_every_leaf_of_the_error_tree_has_its_own_code() -> None:
    leaves = [
        e for e in all_errors() if not e.__subclasses__() and e.__module__.startswith("domain")
    ]
    codes = [e.code for e in leaves]
    assert len(set(codes)) == len(codes)
    assert all(code == code.lower() and " " not in code for code in codes)
