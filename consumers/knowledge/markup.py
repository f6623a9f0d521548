"""Plain text of what was HTML, entities, shortcodes, templates or mojibake."""

from __future__ import annotations

import html
import re

import ftfy
import nh3

from consumers.knowledge.characters import visible

MAX_INPUT = 2000  # characters looked at; no statement needs more

_MOJIBAKE = ftfy.TextFixerConfig(unescape_html=False, uncurl_quotes=False, explain=False)
_ELEMENTS = """
    a abbr address article aside audio b base bdi bdo big blockquote body br button canvas caption
    center cite code col dd del details dfn div dl dt em embed fieldset figcaption figure font
    footer form h1 h2 h3 h4 h5 h6 head header hr html i iframe img input ins kbd label legend li
    link main map mark meta nav noscript object ol option p param picture pre q s samp script
    section select small source span strike strong style sub summary sup svg table tbody td
    template textarea tfoot th thead title tr tt u ul use var video wbr image math
"""
_TAG = re.compile(
    rf"<(?=/?(?:{'|'.join(_ELEMENTS.split())})(?:[\s/>]|$)|!--|!doctype|\?)", re.IGNORECASE
)
_BLOCK = re.compile(
    r"<(?=/?(?:br|p|div|li|ul|ol|td|th|tr|h[1-6]|hr|dd|dt|figcaption|img)\b)", re.IGNORECASE
)
_LEFT = "\ue000"  # private use: `visible` lets none through
_BBCODE = re.compile(
    r"\[/?(?:b|i|u|s|url|img|quote|color|size|center|caption|gallery|embed|youtube|code|list)"
    r"(?:[= ][^\[\]]{0,200})?\]",
    re.IGNORECASE,
)
_TEMPLATE = re.compile(
    r"\{\{[^{}]{0,200}\}\}|\$?\{[\w.$ |]{1,80}\}|<%.{0,200}?%>|\[object Object\]"
    r"|%(?:s|d|\w+%)(?!\w)"
)
_ROUND = str.maketrans("[]{}\u3010\u3011\u3014\u3015\u27e6\u27e7", "()()()()()")
_ANGLED = re.compile(r"<([^<>]{1,60})>")
_ATTRIBUTE = re.compile(r"^(?:alt|title|caption)\s*=\s*([\"'])(.*)\1$", re.IGNORECASE)
_COMPARISON = re.compile(r"(?:^|(?<=\s))(?:<(?=[\s\d])|>(?=\s))")


def plain(text: str) -> str:
    """One line of visible text, without tags, entities, shortcodes or square brackets.

    Angle brackets that are no HTML (``<Spain>``) become round ones; those that compare (``3 < 5``)
    stay. Encoded twice or thrice is undone as well.
    """
    text = ftfy.fix_text(visible(text, MAX_INPUT), _MOJIBAKE)
    for _ in range(3):
        decoded = html.unescape(_without_tags(text))
        if decoded == text:
            break
        text = decoded
    text = _TEMPLATE.sub(" ", _BBCODE.sub(" ", text)).translate(_ROUND)
    text = _ATTRIBUTE.sub(r"\2", text.strip())
    text = _ANGLED.sub(r" (\1) ", text)
    kept = _COMPARISON.sub(lambda m: {"<": "\ue000", ">": "\ue001"}[m[0]], visible(text, MAX_INPUT))
    kept = kept.replace("<", " ").replace(">", " ")
    return " ".join(kept.replace("\ue000", "<").replace("\ue001", ">").split())


def _without_tags(text: str) -> str:
    if "<" not in text:
        return text
    # Only what opens a tag of HTML may be one: to the sanitiser, <Spain> is an unknown element.
    text = _TAG.sub(_LEFT, _BLOCK.sub(" <", text))
    text = text.replace("<", "&lt;").replace(_LEFT, "<")
    return html.unescape(nh3.clean(text, tags=set())) if "<" in text else html.unescape(text)
