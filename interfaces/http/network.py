"""Where a request comes from."""

from starlette.requests import HTTPConnection


def client_address(connection: HTTPConnection) -> str:
    """The peer's address; proxies are not trusted until the gateway knows them (issue C)."""
    return connection.client.host if connection.client is not None else "unknown"
