"""Retention is told how far every generation of the views is, or that nobody knows."""

import psycopg
import pytest

from domain.errors import Unavailable
from infrastructure.postgres import schema
from infrastructure.postgres.cursors import view_positions


def test_every_generation_of_views_counts(database_url: str) -> None:
    assert view_positions(database_url) == {"views": 0}, "they are yet to be made, from the start"
    with psycopg.connect(database_url, autocommit=True) as connection:
        first = schema.ensure(connection)
        connection.execute(f"UPDATE {first}.tracking SET position = 42".encode())
        second = schema.create(connection)
    assert view_positions(database_url) == {first: 42, second: 0}


def test_a_database_that_does_not_answer_is_no_position() -> None:
    with pytest.raises(Unavailable):
        view_positions("postgresql://nobody@/none?host=/nowhere")


def test_tables_that_are_not_as_expected_are_no_position(database_url: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        first = schema.ensure(connection)
        connection.execute(f"DROP TABLE {first}.tracking CASCADE".encode())
    with pytest.raises(Unavailable):
        view_positions(database_url)
