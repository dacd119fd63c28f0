"""URLs of other systems in the settings. Messages don't repeat them: a password may be in one."""

from urllib.parse import urlsplit

from domain.errors import InvalidInput


def check_archive(archive_url: str | None, endpoint_url: str | None) -> None:
    """KEFU_ARCHIVE_URL and KEFU_ARCHIVE_S3_ENDPOINT.

    Raises:
        InvalidInput: of another form, or with credentials.
    """
    url = urlsplit(archive_url or "file:///")
    is_file = url.scheme == "file" and not url.netloc and url.path.startswith("/")
    is_bucket = url.scheme == "s3" and url.netloc and "@" not in url.netloc
    if not is_file and not is_bucket:
        raise InvalidInput(
            "KEFU_ARCHIVE_URL must be file:///path or s3://bucket/prefix, without credentials."
        )
    endpoint = urlsplit(endpoint_url or "https://-")
    if endpoint.scheme not in ("http", "https") or not endpoint.netloc or "@" in endpoint.netloc:
        raise InvalidInput("KEFU_ARCHIVE_S3_ENDPOINT must be an http(s) URL without credentials.")


def check_cluster(cluster_url: str | None) -> None:
    """KEFU_CLUSTER_URL: one or more servers, with credentials before the first.

    Raises:
        InvalidInput: of another form.
    """
    url = urlsplit(cluster_url or "redis://-")
    hosts = url.netloc.rpartition("@")[2].split(",")
    if url.scheme not in ("redis", "rediss") or not all(map(_is_host, hosts)):
        raise InvalidInput("KEFU_CLUSTER_URL must be redis:// or rediss:// with host:port,...")


def _is_host(text: str) -> bool:
    try:
        parts = urlsplit(f"//{text}")
        return bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
