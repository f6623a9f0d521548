"""Who made, owns or sells a picture: true, but no knowledge of what it shows."""

# ruff: noqa: RUF001 - the characters that look alike are meant
from __future__ import annotations

import re

_AGENCY = (
    r"getty(?:\s?images)?|istock(?:\s?photo)?|shutterstock|alamy|reuters|afp|associated\spress|epa"
    r"|corbis|rex(?:\sfeatures)?|splash\snews|wireimage|filmmagic|unsplash|pexels|pixabay|flickr"
    r"|wikimedia(?:\scommons)?|wikipedia|creative\scommons|adobe\sstock|dreamstime|depositphotos"
    r"|123rf|bigstock|fotolia|imago|bloomberg|xinhua|zuma|upi|usa\stoday\ssports|ap\sphoto|pa\simages"
)
_WHAT = (
    r"(?:photo(?:graph(?:er|ed|s)?|s|\(s\))?|picture|image|pic|illustration|artwork|foto|fotos|bild"
    r"|graphic|cr[ée]dit(?:s|o|\sphoto)?|source|quelle|copyright|photography)"
)
_WHO = (  # names in capitals, and not more of them than a credit line has
    r"(?:©\s*)?[A-Z@][^\s.;|():]*(?:\.(?=\s?[A-Z]))?"
    r"(?:[\s/,&]+(?:(?:and|und|de|van|von|for|via|of|on)\s)?[A-Z@][^\s.;|():]*(?:\.(?=\s?[A-Z]))?){0,4}"
)
_NAME = (  # to the end of the sentence, which initials do not end
    r"(?!(?:the|a|an|my|our|this|his|her|their|its)\b)"
    r"(?:[A-Z]\.\s?|[^\s.,;|()])(?:\b[A-Z]\.\s?|[^.;|()]){0,80}"
)
_END = r"(?=[.;|()]|$)"

# Case matters where only a capital tells "photo by Ann" from "photo by the lake".
_CREDIT = re.compile(
    rf"(?<!\w)(?:"
    rf"(?i:{_WHAT}\s?(?:courtesy(?:\sof)?|credits?|cr[ée]dit|source)\s*[:©]\s*){_NAME}"
    rf"|(?i:(?:credits?|source|quelle|copyright|photographer)\s*:\s*){_NAME}"
    rf"|(?i:{_WHAT}\s*[:©]\s*){_WHO}\s?"
    rf"|(?i:{_WHAT}\s(?:courtesy(?:\sof)?|cr[ée]dit\s?:?)\s){_NAME}"
    rf"|(?i:courtesy(?:\sof)?|via\s?:)\s{_NAME}"
    rf"|(?i:{_WHAT}\s(?:taken\s|made\s|shot\s)?(?:by|von|par|por|di)\s)(?=[A-Z@\d©]){_NAME}"
    rf"|(?i:(?:photographed|illustrated|shot|captured|taken)\sby\s)(?=[A-Z@]){_NAME}"
    rf"|(?i:stock\s\w+\sby\s){_NAME}"
    rf"|(?i:{_WHAT}\s(?:credits?|courtesy(?:\sof)?|source|by)\s*:?\s*)(?=$)"
    rf"|(?i:©|\(c\)|copyright\b(?:\s(?:©|\(c\)))?)\s*{_NAME}"
    rf"){_END}",
)
_AGENCY_CREDIT = re.compile(
    r"[(/,|–—-]?\s*(?:[A-Z][\w.'’-]{1,30}\s){0,3}(?:[A-Z][\w.'’-]{1,30})?\s?/\s?"
    rf"(?i:{_AGENCY})\b[^.;|()]{{0,40}}|\(\s*(?i:{_AGENCY})\b[^)]{{0,60}}\)",
)
_RIGHTS = re.compile(
    r"(?:\ball\srights\sreserved\b|\brights[-\s](?:managed|free)\b|\beditorial\suse\sonly\b"
    r"|\bpublic\sdomain\b|\bCC[-\s]BY(?:-\w{2})*(?:\s\d\.\d)?\b|\bCC0\b|[™®])\.?",
    re.IGNORECASE,
)
_EMPTY = re.compile(r"\(\s*[,;:/-]*\s*\)")


def without_credits(text: str) -> str:
    """Without credit lines, agencies and notes on rights."""
    text = _AGENCY_CREDIT.sub(" ", _CREDIT.sub(" ", text))
    return _EMPTY.sub(" ", _RIGHTS.sub(" ", text))
