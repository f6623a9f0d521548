from __future__ import annotations

import gzip
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumers.fetch.body import decode_body
from consumers.stage import Rejected

PLAIN = b"\xff\xd8\xff" + b"image" * 1000


def _gzip(data: bytes) -> bytes:
    """Without the time of day, which would be in the tests' names."""
    return gzip.compress(data, mtime=0)


def _raw_deflate(data: bytes) -> bytes:
    deflater = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return deflater.compress(data) + deflater.flush()


@pytest.mark.parametrize(
    ("body", "encoding"),
    [
        (PLAIN, ""),
        (PLAIN, "identity"),
        (PLAIN, "utf-8"),
        (PLAIN, "aws-chunked"),
        (PLAIN, "gzip"),  # says so, but isn't
        (_gzip(PLAIN), "gzip"),
        (_gzip(PLAIN), "X-GZIP"),
        (_gzip(PLAIN), "aws-chunked, gzip"),
        (zlib.compress(PLAIN), "deflate"),
        (_raw_deflate(PLAIN), "deflate"),
    ],
)
def test_decoded(body: bytes, encoding: str) -> None:
    assert decode_body(body, encoding, len(PLAIN)) == PLAIN


@pytest.mark.parametrize(
    ("body", "encoding", "reason"),
    [
        (_gzip(PLAIN + b"!"), "gzip", "too-large"),
        (_gzip(PLAIN)[:-20], "gzip", "content-encoding"),
        (_gzip(_gzip(PLAIN)), "gzip, gzip", "content-encoding"),
        (PLAIN, "br", "content-encoding"),
        (PLAIN, "zstd", "content-encoding"),
    ],
)
def test_refused(body: bytes, encoding: str, reason: str) -> None:
    with pytest.raises(Rejected) as caught:
        decode_body(body, encoding, len(PLAIN))
    assert caught.value.reason == reason


@given(st.binary(), st.sampled_from(["gzip", "deflate", "", "br", "x", ","]))
def test_any_bytes_are_decoded_or_a_reject(body: bytes, encoding: str) -> None:
    try:
        assert isinstance(decode_body(body, encoding, 1000), bytes)
    except Rejected as reject:
        assert reject.reason in {"content-encoding", "too-large"}
