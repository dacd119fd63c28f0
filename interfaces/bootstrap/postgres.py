"""Where the views' database is; loads no driver."""

from infrastructure.postgres.embedded import EmbeddedPostgres
from interfaces.settings import Settings


def embedded_postgres(settings: Settings) -> EmbeddedPostgres | None:
    """The embedded Postgres, unless the operator has a server."""
    if settings.database_url is not None:
        return None
    return EmbeddedPostgres(settings.data_dir / "postgres")


def database_url(settings: Settings) -> str:
    """Where the views are."""
    return settings.database_url or EmbeddedPostgres(settings.data_dir / "postgres").url
