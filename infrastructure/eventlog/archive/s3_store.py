"""`ObjectStore` over S3 or a store that speaks its protocol.

Credentials come from where the AWS tools look for them (environment, ~/.aws, the machine's role)
and from nowhere else. Objects are put with `If-None-Match: *`, which stores since 2024 take as
"only if there is none" (https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html);
a store that does not know it is asked beforehand.
"""

import hashlib
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final

import boto3
from botocore.client import Config
from botocore.exceptions import BotoCoreError, ClientError

from infrastructure.eventlog.archive.errors import (
    ArchiveConflict,
    ArchiveUnavailable,
    ObjectNotFound,
)
from infrastructure.eventlog.archive.object_store import CHUNK_BYTES, ObjectInfo, check_key

_MISSING: Final = ("404", "NoSuchKey", "NotFound")
_EXISTS: Final = ("412", "PreconditionFailed")
_UNKNOWN_CONDITION: Final = ("501", "NotImplemented")
_CONNECT_S: Final = 5
_READ_S: Final = 30


class S3Store:
    """A bucket, or what is below a prefix of one. Connects when it is first used."""

    def __init__(
        self,
        bucket: str,
        prefix: str,
        *,
        endpoint: str | None = None,
        region: str | None = None,
        page_size: int = 1000,
    ) -> None:
        self._bucket = bucket
        self._prefix = f"{prefix.strip('/')}/" if prefix.strip("/") else ""
        self._endpoint = endpoint
        self._region = region
        self._page_size = page_size
        """Of listings; S3 gives at most 1,000 at once."""
        self._made: Any = None

    @property
    def url(self) -> str:
        """As `ObjectStore.url`."""
        return f"s3://{self._bucket}/{self._prefix}".rstrip("/")

    def put(self, key: str, source: Path) -> None:
        """As `ObjectStore.put`."""
        if self.exists(key):
            self._require_same(key, source)
            return
        try:
            self._send(key, source, {"IfNoneMatch": "*"})
        except ClientError as error:
            if _code(error) in _EXISTS:
                self._require_same(key, source)
            elif _code(error) in _UNKNOWN_CONDITION:
                with self._available(key):
                    self._send(key, source, {})
            else:
                raise self._unavailable(error) from error
        except BotoCoreError as error:
            raise self._unavailable(error) from error

    def get(self, key: str) -> Iterator[bytes]:
        """As `ObjectStore.get`."""
        with self._available(key):
            answer = self._client.get_object(**self._object(key))
            with closing(answer["Body"]) as body:
                yield from body.iter_chunks(CHUNK_BYTES)

    def list(self) -> Iterator[ObjectInfo]:
        """As `ObjectStore.list`."""
        with self._available(self._prefix):
            pages = self._client.get_paginator("list_objects_v2")
            size = {"PageSize": self._page_size}
            for page in pages.paginate(
                Bucket=self._bucket, Prefix=self._prefix, PaginationConfig=size
            ):
                for row in page.get("Contents", ()):
                    key = row["Key"].removeprefix(self._prefix)
                    if "/" not in key:
                        yield ObjectInfo(key, row["Size"])

    def exists(self, key: str) -> bool:
        """As `ObjectStore.exists`."""
        try:
            with self._available(key):
                self._client.head_object(**self._object(key))
        except ObjectNotFound:
            return False
        return True

    def _send(self, key: str, source: Path, condition: dict[str, str]) -> None:
        with source.open("rb") as file:
            self._client.put_object(**self._object(key), Body=file, **condition)

    def _require_same(self, key: str, source: Path) -> None:
        there = hashlib.sha256()
        for chunk in self.get(key):
            there.update(chunk)
        with source.open("rb") as file:
            if hashlib.file_digest(file, "sha256").digest() != there.digest():
                raise ArchiveConflict(self.url, key)

    def _object(self, key: str) -> dict[str, str]:
        return {"Bucket": self._bucket, "Key": self._prefix + check_key(key)}

    @property
    def _client(self) -> Any:
        if self._made is None:
            config = Config(
                connect_timeout=_CONNECT_S,
                read_timeout=_READ_S,
                retries={"total_max_attempts": 2, "mode": "standard"},
                # Many compatible stores don't know the newer checksums; what is stored is
                # read back and compared anyway.
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
                s3={"addressing_style": "path" if self._endpoint else "auto"},
            )
            session = boto3.session.Session()  # the default session is not safe for threads
            self._made = session.client(
                "s3", endpoint_url=self._endpoint, region_name=self._region, config=config
            )
        return self._made

    @contextmanager
    def _available(self, key: str) -> Iterator[None]:
        try:
            yield
        except ClientError as error:
            if _code(error) in _MISSING:
                raise ObjectNotFound(self.url, key) from error
            raise self._unavailable(error) from error
        except BotoCoreError as error:
            raise self._unavailable(error) from error

    def _unavailable(self, error: Exception) -> ArchiveUnavailable:
        return ArchiveUnavailable(f"The archive {self.url} can't be used: {error}")


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))
