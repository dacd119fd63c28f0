"""The read side."""

from infrastructure.postgres.views import PostgresViews
from interfaces.bootstrap.postgres import database_url
from interfaces.settings import Settings


def views(settings: Settings) -> PostgresViews:
    """The views in Postgres."""
    return PostgresViews(database_url(settings))
