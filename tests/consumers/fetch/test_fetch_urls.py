from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from consumers.fetch.urls import parse_url
from consumers.stage import Rejected


@pytest.mark.parametrize(
    ("text", "sent"),
    [
        ("http://example.com?a", "http://example.com/?a"),
        (" https://example.com/a.jpg ", "https://example.com/a.jpg"),
        ("https://example.com:8443/a.jpg#top", "https://example.com:8443/a.jpg"),
        # Signed: requoting would change what the signature is over.
        (
            "https://i.example.com/a%2Fb.jpg?u=https%3A%2F%2Fc.com%2Fd.jpg&s=a%2Bb%3D",
            "https://i.example.com/a%2Fb.jpg?u=https%3A%2F%2Fc.com%2Fd.jpg&s=a%2Bb%3D",
        ),
        ("http://example.com/my photo.jpg", "http://example.com/my%20photo.jpg"),
        ("http://münchen.de/ä.jpg", "http://xn--mnchen-3ya.de/%C3%A4.jpg"),
        ("http://8.8.8.8/a.jpg", "http://8.8.8.8/a.jpg"),
        ("http://[2606:4700::1111]/a.jpg", "http://[2606:4700::1111]/a.jpg"),
        ("http://a_b.example.com./a.jpg", "http://a_b.example.com./a.jpg"),
    ],
)
def test_good_urls(text: str, sent: str) -> None:
    assert str(parse_url(text)) == sent


@pytest.mark.parametrize(
    ("location", "target"),
    [
        ("/b.jpg", "http://example.com/b.jpg"),
        ("b.jpg?x=%2F", "http://example.com/dir/b.jpg?x=%2F"),
        ("//cdn.example.com/b.jpg", "http://cdn.example.com/b.jpg"),
        ("https://other.example/b.jpg", "https://other.example/b.jpg"),
    ],
)
def test_redirects_may_be_relative(location: str, target: str) -> None:
    assert str(parse_url(location, base=URL("http://example.com/dir/a.jpg"))) == target


@pytest.mark.parametrize(
    "text",
    [
        "http://example.com/\ud800.jpg",
        "http://exam\ud800ple.com/",
        "http://example.com\\@127.0.0.1/",
        "http://127%2e0.0.1/",
        "http://a..com/",
        "http://-a.com/",
        "http://[fe80::1%25eth0/",
        "http://[v1.x]/",
        "http://08.8.8.8/",
        "http://example.com:x/",
        "http://@example.com/",
        "javascript:alert(1)",
        "//example.com/a.jpg",
        "http://" + ".".join(["a" * 60] * 5) + "/",
    ],
)
def test_malformed_urls(text: str) -> None:
    with pytest.raises(Rejected) as caught:
        parse_url(text)
    assert caught.value.reason == "malformed-url"


_PIECES = st.sampled_from(
    [
        "http://",
        "https:",
        "//",
        "@",
        ":",
        "[",
        "]",
        "%",
        "..",
        "127.0.0.1",
        "::1",
        "0x7f",
        "\\",
        "é",
    ]
)


@given(st.one_of(st.text(), st.lists(st.one_of(_PIECES, st.text(max_size=5))).map("".join)))
def test_any_text_is_a_url_or_a_reject(text: str) -> None:
    try:
        url = parse_url(text)
    except Rejected as reject:
        assert reject.reason in {"malformed-url", "private-address"}
    else:
        assert url.scheme in {"http", "https"} and url.raw_host and not url.user
        assert str(url).isprintable()
