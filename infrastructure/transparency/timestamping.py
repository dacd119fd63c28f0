"""Time stamps of checkpoints by an authority: RFC 3161, over HTTP (section 3.4)."""

import hashlib
from pathlib import Path
from typing import Final

from domain.errors import Unavailable
from infrastructure.eventlog.sealing import replace_file
from infrastructure.transparency.push import Deliver

_TIMEOUT_S: Final = 30.0
_GRANTED: Final = (0, 1)
"""PKIStatus: granted, granted with modifications."""


def to_authority(url: str, directory: Path) -> Deliver:
    """Ask for a time stamp of each checkpoint and keep both; one that has one is not asked for.

    The answer must be about our bytes and our question. Whether its certificate is to be trusted
    is for whoever verifies it: `openssl ts -verify`.
    """

    def deliver(note: bytes, size: int) -> None:
        # Only for who has an authority.
        import httpx
        from rfc3161_client import (
            HashAlgorithm,
            TimestampRequestBuilder,
            decode_timestamp_response,
        )

        stamp = directory / f"{size:020d}.tsr"
        if stamp.exists():
            return
        builder = TimestampRequestBuilder().data(note).hash_algorithm(HashAlgorithm.SHA256)
        request = builder.nonce(nonce=True).cert_request(cert_request=True).build()
        answer = httpx.post(
            url,
            content=request.as_bytes(),
            headers={"Content-Type": "application/timestamp-query"},
            timeout=_TIMEOUT_S,
        ).raise_for_status()
        response = decode_timestamp_response(answer.content)
        if response.status not in _GRANTED:
            raise Unavailable(f"the authority refused: status {response.status}")
        found = response.tst_info
        digest = hashlib.sha256(note).digest()
        if found.nonce != request.nonce or found.message_imprint.message != digest:
            raise Unavailable("the authority answered another question")
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        replace_file(stamp.with_suffix(".checkpoint"), note)
        replace_file(stamp, answer.content)

    return deliver
