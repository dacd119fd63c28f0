"""A real S3-compatible server (moto's, a process of its own), and a log with sealed segments."""

import itertools
import os
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import boto3
import pytest

from infrastructure.eventlog.archive.directory_store import DirectoryStore
from infrastructure.eventlog.archive.location import Location, open_store, save_location
from infrastructure.eventlog.archive.object_store import ObjectStore
from infrastructure.eventlog.archive.s3_store import S3Store
from infrastructure.eventlog.segment import list_segments
from infrastructure.eventlog.store import EventLog
from tests.infrastructure.eventlog.conftest import batch
from tests.serving import free_port, wait_until
from tests.tools import missing

REGION = "eu-central-1"
_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def s3_endpoint() -> Iterator[str]:
    if find_spec("moto") is None or find_spec("flask") is None:
        missing("moto[server] is not installed")
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    url = f"http://127.0.0.1:{port}"

    def answers() -> bool:
        assert process.poll() is None, "moto's server ended"
        try:
            with urllib.request.urlopen(f"{url}/moto-api/", timeout=5):
                return True
        except (urllib.error.URLError, OSError):
            return False

    try:
        wait_until(answers, 60, "moto's server answers")
        yield url
    finally:
        process.terminate()
        process.wait()


@pytest.fixture
def s3(s3_endpoint: str, monkeypatch: pytest.MonkeyPatch) -> Location:
    """An empty bucket, and credentials where the AWS tools look for them."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIATEST")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "not-a-secret")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    bucket = f"kefu-{os.getpid()}-{next(_numbers)}"
    client = boto3.session.Session().client("s3", endpoint_url=s3_endpoint, region_name=REGION)
    client.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
    client.close()
    return Location(f"s3://{bucket}/logs/one", s3_endpoint, REGION)


class Archived(NamedTuple):
    """A log and its archive."""

    log: Path
    location: Location
    store: ObjectStore


def fill(directory: Path, segments: int = 6) -> None:
    """A sealed segment for each event but the last, which is in the open one."""

    def all_are_sealed() -> bool:
        return sum(segment.sealed for segment in list_segments(directory)) == segments

    with EventLog.open(directory, max_segment_bytes=1) as log:  # every frame rolls
        for number in range(segments):
            log.append_sync([batch(f"s-{number % 2}", b"payload %d" % number)])
        wait_until(all_are_sealed, 30, "the last segment is sealed")
    with EventLog.open(directory) as log:
        log.append_sync([batch(f"s-{segments % 2}", b"payload %d" % segments)])


@pytest.fixture(params=["directory", "s3"])
def archived(request: pytest.FixtureRequest, tmp_path: Path) -> Archived:
    """Six sealed segments of one event each, an open one, and an empty archive, of each kind."""
    fill(tmp_path / "log")
    if request.param == "s3":
        location: Location = request.getfixturevalue("s3")
    else:
        (tmp_path / "store").mkdir()
        location = Location((tmp_path / "store").as_uri())
    save_location(tmp_path / "log", location)
    return Archived(tmp_path / "log", location, open_store(location))


@pytest.fixture
def on_disk(tmp_path: Path) -> Archived:
    """The same with a directory."""
    fill(tmp_path / "log")
    (tmp_path / "store").mkdir()
    location = Location((tmp_path / "store").as_uri())
    save_location(tmp_path / "log", location)
    return Archived(tmp_path / "log", location, DirectoryStore(tmp_path / "store"))


def s3_store(location: Location) -> S3Store:
    store = open_store(location)
    assert isinstance(store, S3Store)
    return store
