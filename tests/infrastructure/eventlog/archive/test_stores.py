"""Both adapters keep the contract, and say what is wrong without giving anything away."""

import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import boto3
import pytest

from infrastructure.eventlog.archive.directory_store import DirectoryStore
from infrastructure.eventlog.archive.errors import ArchiveUnavailable
from infrastructure.eventlog.archive.location import Location, open_store
from infrastructure.eventlog.archive.object_store import ObjectStore
from infrastructure.eventlog.archive.s3_store import S3Store
from tests.contracts.object_store import ObjectStoreContract, file_of
from tests.serving import free_port


class TestDirectoryStore(ObjectStoreContract):
    @pytest.fixture
    def store(self, tmp_path_factory: pytest.TempPathFactory) -> ObjectStore:
        return DirectoryStore(tmp_path_factory.mktemp("store"))


class TestS3Store(ObjectStoreContract):
    @pytest.fixture
    def store(self, s3: Location) -> ObjectStore:
        _, _, bucket, prefix = s3.url.split("/", 3)
        return S3Store(bucket, prefix, endpoint=s3.endpoint, region=s3.region, page_size=7)


def test_a_mount_that_is_missing_is_not_an_empty_archive(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path / "missing")
    for call in (
        lambda: store.exists("x"),
        lambda: list(store.list()),
        lambda: store.put("x", file_of(tmp_path, b"x")),
    ):
        with pytest.raises(ArchiveUnavailable, match="missing"):
            call()
    assert not (tmp_path / "missing").exists()


def test_half_a_file_is_never_an_object(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    store = DirectoryStore(tmp_path / "store")
    (tmp_path / "store" / ".part-killed").write_bytes(b"half")
    assert list(store.list()) == []
    store.put("x", file_of(tmp_path, b"whole"))
    assert [info.key for info in store.list()] == ["x"]


def test_objects_beside_the_prefix_are_not_ours(s3: Location, tmp_path: Path) -> None:
    bucket = s3.url.split("/")[2]
    beside = S3Store(bucket, "logs", endpoint=s3.endpoint, region=s3.region)
    beside.put("other", file_of(tmp_path, b"x"))
    store = open_store(s3)
    store.put("mine", file_of(tmp_path, b"x"))
    assert [info.key for info in store.list()] == ["mine"]
    assert [info.key for info in beside.list()] == ["other"]


def test_a_bucket_that_is_missing_is_an_error_and_no_empty_archive(s3: Location) -> None:
    store = S3Store("kefu-no-such-bucket", "", endpoint=s3.endpoint, region=s3.region)
    with pytest.raises(Exception, match="kefu-no-such-bucket"):
        list(store.list())


def test_a_store_that_does_not_answer_is_named_and_no_credential_is(
    s3: Location, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hush-hush")
    store = S3Store("bucket", "", endpoint=f"http://127.0.0.1:{free_port()}", region="x")
    with pytest.raises(ArchiveUnavailable, match="s3://bucket") as caught:
        store.exists("key")
    assert "hush" not in str(caught.value)


def test_credentials_come_from_the_standard_files_too(
    s3: Location, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    credentials = tmp_path / "credentials"
    credentials.write_text("[default]\naws_access_key_id = A\naws_secret_access_key = B\n")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(credentials))
    assert boto3.session.Session().get_credentials().access_key == "A"
    bucket = s3.url.split("/")[2]
    store = S3Store(bucket, "", endpoint=s3.endpoint, region=s3.region)
    store.put("key", file_of(tmp_path, b"x"))
    assert store.exists("key")


class _NoConditions(BaseHTTPRequestHandler):
    """A failing store on purpose: it knows no `If-None-Match`, as some of 2023 do."""

    objects: dict[str, bytes]

    def do_HEAD(self) -> None:
        self.send_response(200 if self.path in self.objects else 404)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        refused = self.headers.get("If-None-Match") is not None
        if not refused:
            self.objects[self.path] = body
        answer = b"<Error><Code>NotImplemented</Code></Error>" if refused else b""
        self.send_response(501 if refused else 200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *arguments: object) -> None:
        pass


def test_a_store_without_conditional_writes_still_works(s3: Location, tmp_path: Path) -> None:
    _NoConditions.objects = {}
    with HTTPServer(("127.0.0.1", 0), _NoConditions) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            endpoint = f"http://127.0.0.1:{server.server_port}"
            store = S3Store("bucket", "p", endpoint=endpoint, region="x")
            store.put("key", file_of(tmp_path, b"bytes"))
            assert store.exists("key")
        finally:
            server.shutdown()
            thread.join()
    assert _NoConditions.objects == {"/bucket/p/key": b"bytes"}


@pytest.mark.parametrize(
    "url", ["", "/path", "file://host/path", "s3://", "s3://key:x@b/p", "ftp://x"]
)
def test_a_url_of_no_store_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="s3://bucket"):
        open_store(Location(url))
