"""The tokeniser: pure, the same for text and query, and what Postgres takes."""

from collections.abc import Iterator

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from infrastructure.postgres.embedded import EmbeddedPostgres
from infrastructure.postgres.search import (
    MAX_QUERY_TOKENS,
    VectorTooLong,
    binary_vector,
    query,
    vector,
)


def _lexemes(text: str) -> set[str]:
    return set(vector(text).split())


@pytest.mark.parametrize(
    ("text", "lexemes"),
    [
        ("Where IS my parcel?", {"where", "is", "my", "parcel"}),
        ("退款", {"退款", "款"}),
        ("我要退款", {"我要", "要退", "退款", "款"}),
        ("退", {"退"}),
        ("iPhone15手机", {"iphone15", "手机", "机"}),
        ("ＡＢＣ１２", {"abc12"}),
        ("カード한국", {"カー", "ード", "ド한", "한국", "국"}),
        ("a@b.cn", {"a", "b", "cn"}),
        ("Straße Ünïcode", {"straße", "ünïcode"}),
        ("a" * 70 + " é" + "b" * 70, {"a" * 64, "é" + "b" * 63}),
        ("a" * 70 + "-" + "b" * 70, {"a" * 64, "b" * 64}),
        ("", set()),
        ("?!…📦", set()),
    ],
)
def test_words_of_latin_text_and_pairs_of_chinese(text: str, lexemes: set[str]) -> None:
    assert _lexemes(text) == lexemes


@pytest.mark.parametrize(
    ("text", "tsquery"),
    [
        ("退", "'退':*"),
        ("退款", "'退款'"),
        ("我要退款", "'我要' & '要退' & '退款'"),
        ("late ord", "'late' & 'ord':*"),
        ("order 退款", "'order' & '退款'"),
        ("it's", "'it' & 's':*"),
        ("?!", None),
        ("", None),
    ],
)
def test_a_query_needs_all_its_tokens_and_its_last_word_may_go_on(
    text: str, tsquery: str | None
) -> None:
    assert query(text) == tsquery


def test_a_query_is_bounded() -> None:
    found = query(" ".join(f"w{n}" for n in range(10_000)))
    assert found is not None
    assert found.count("&") == MAX_QUERY_TOKENS - 1


_TEXTS = st.text(
    st.one_of(
        st.sampled_from("退款我要手机客服"),
        st.sampled_from("abc XYZ 019'\\_-:&|!*()<>\"\t\n"),
        st.characters(),
    ),
    max_size=40,
)


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(before=_TEXTS, text=_TEXTS, after=_TEXTS)
def test_postgres_takes_every_vector_and_query_and_a_text_is_found_by_itself(
    connection: psycopg.Connection, before: str, text: str, after: str
) -> None:
    wanted = query(text)
    # Separated, because a neighbour would make another word of a word.
    row = connection.execute(
        "SELECT %s::tsvector @@ %s::tsquery", (vector(f"{before} {text} {after}"), wanted)
    ).fetchone()
    assert row == ((True,) if wanted else (None,))


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(text=_TEXTS)
def test_a_vector_in_binary_is_the_same_vector(connection: psycopg.Connection, text: str) -> None:
    with connection.transaction():
        connection.execute("CREATE TEMP TABLE vectors (v tsvector) ON COMMIT DROP")
        with connection.cursor().copy("COPY vectors FROM STDIN (FORMAT BINARY)") as copy:
            copy.set_types(["bytea"])
            copy.write_row((binary_vector(text),))
        row = connection.execute(
            "SELECT v = %(v)s::tsvector, v::text = (%(v)s::tsvector)::text FROM vectors",
            {"v": vector(text)},
        ).fetchone()
    assert row == (True, True)


def test_a_vector_that_postgres_would_refuse_is_not_made() -> None:
    binary_vector(" ".join(f"w{n:06}" for n in range(100_000)))
    with pytest.raises(VectorTooLong):
        binary_vector(" ".join(f"w{n:06}" for n in range(200_000)))


@settings(
    max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(text=st.text("退款我要手机客服单", min_size=1, max_size=20), data=st.data())
def test_every_part_of_a_chinese_text_finds_it(
    connection: psycopg.Connection, text: str, data: st.DataObject
) -> None:
    start = data.draw(st.integers(0, len(text) - 1))
    end = data.draw(st.integers(start + 1, len(text)))
    row = connection.execute(
        "SELECT %s::tsvector @@ %s::tsquery", (vector(text), query(text[start:end]))
    ).fetchone()
    assert row == (True,)


@pytest.fixture(scope="module")
def connection(postgres_server: EmbeddedPostgres) -> Iterator[psycopg.Connection]:
    with psycopg.connect(postgres_server.url, autocommit=True) as connection:
        yield connection
