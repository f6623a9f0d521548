"""Whether the server of an image asks that it be in no index and train no model.

The ``X-Robots-Tag`` header, read as `img2dataset` reads it by default. ``robots.txt`` is for who
crawls, that is, for whoever made the list of URLs.
"""

from __future__ import annotations

from multidict import CIMultiDictProxy

_DIRECTIVES = {"noai", "noimageai", "noindex", "noimageindex"}


def opted_out(headers: CIMultiDictProxy[str], user_agent: str) -> str | None:
    """The directive that says so, if there is one for everybody or for us.

    Args:
        user_agent: as it is sent; its product name is what a directive may be for.
    """
    us = user_agent.partition("/")[0].strip().lower()
    for value in headers.getall("X-Robots-Tag", []):
        words = value.lower()
        whom, colon, rest = words.partition(":")
        if colon and "," not in whom:  # else the colon is one of a directive, such as a date's
            if whom.strip() != us:
                continue
            words = rest
        for directive in words.split(","):
            if (word := directive.strip()) in _DIRECTIVES:
                return word
    return None
