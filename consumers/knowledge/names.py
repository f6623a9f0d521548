"""File names, camera names and words that only say "this is an image"."""

# ruff: noqa: RUF001 - the characters that look alike are meant
from __future__ import annotations

import re
from urllib.parse import unquote

_SUFFIX = re.compile(
    r"\.(?:jpe?g|png|gif|webp|avif|bmp|tiff?|svg|heic|heif|jfif|ico|psd|raw|cr2|nef|arw|dng"
    r"|pdf|html?|php|aspx?|jsp)\b(?:[?#]\S*)?",
    re.IGNORECASE,
)
_FILE = re.compile(r"^(?:file|image|bild|datei|fichier|archivo)\s*:\s*", re.IGNORECASE)
_CAMERA = re.compile(
    r"""^_?(?:
      (?:img|dsc|dscn|dscf|dsci|dcim|dji|dcp|mvc|mvi|pict|pic|imag|images?|photos?|fotos?|bild|picture
        |gopr|gp|pxl|mvimg|vid|scan|cimg|cam|hpim|kif|ssa|sdc|idsc|mg|wp|wa|fb|fb_?img|received
        |received_img|slide|slider|banner|header|hero|thumb|thumbnail|figure|fig|page|untitled
        |unnamed|unknown|noname|notitle|copy|copie|temp|tmp|test|default|file|download|attachment
        |pasted_?image|capture|clipboard|upload|logo|icon|avatar|background|bg|bitmap|artboard|layer
        |sam|dc|[pncsr](?=\d{4}))
      [\s_-]*\(?(?:e?\d)[\d\s_().,x-]*[a-z]{0,2}
      (?:[\s_-](?:hdr|edit|edited|bw|copy|large|small|medium|thumb|scaled|web|lr|crop|final|mp|cover
        |portrait|o|n|b|z|k|\d+))*
     |screen\s?[-_]?(?:shot|capture|grab|dump)s?(?![a-z])[\s_-]*(?:\(?\d|at\s\d|from\s\d|$).*
     |bildschirmfoto\b.*|schermata\s\d.*|capture\sd.[ée]cran\b.*|captura\sde\spantalla\b.*
     |whatsapp\s(?:image|photo)\b.*
     |(?:pasted|untitled|new|copy\sof)\s?[-_]?\s?(?:image|design|project|drawing|document|photo
        |picture|album|file|artwork|presentation)?(?:[\s_-]?\d+)?
     |(?:photo|image|picture|pic|foto|slide|figure|fig\.?|page|img|bild)\s*(?:no\.?|nr\.?|\#|number)?
        \s*\d+(?:\s*(?:of|von|/|de|sur|di|out\sof)\s*\d+)?
     |(?=.*\d)[\d\s_.,x×:()\#/+-]+[a-z]?
    )$""",
    re.IGNORECASE | re.VERBOSE,
)
_GENERIC = """
    image images img imgs photo photos photograph photographs photography picture pictures pic
    pics foto fotos fotografie bild bilder imagen imagenes imágenes imagem imagens immagine immagini
    afbeelding obrázek obraz zdjęcie zdjęcia kuva billede foton фото изображение картинка
    图片 图像 画像 写真 이미지 사진 صورة graphic graphics illustration artwork icon icons logo
    logos banner header footer thumbnail thumb thumbs slide slider slideshow gallery placeholder
    spacer blank pixel
    default null none undefined nan unknown untitled unnamed notitle title alt text alternate
    alternative caption description desc attachment file files download upload uploads media content
    screenshot screen capture avatar profile cover featured main hero background bg wallpaper hd 4k
    jpg jpeg png gif webp svg home page index test lorem ipsum true false yes no na n/a here this
    the a an of and or for with in on at by to from is it its my your our no nr new view click
    large small medium full size zoom preview video slide1 und der die das de la le el les et y
    posts post article product products item items category collection
"""
GENERIC = frozenset(_GENERIC.split())
_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)?")
_WIDE = re.compile(r"[\u0e00-\u0eff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")
_VOWEL = re.compile(r"[aeiouyà-ÿ]|[^\x00-\u024f]", re.IGNORECASE)
_SIZE = re.compile(
    r"^(?:\d+x\d+|\d+w|\d+px|scaled|e?\d+|[0-9a-f]*\d[0-9a-f]*|v\d+|copy|crop(?:ped)?)$"
)


def words(text: str) -> list[str]:
    """Its words: letters only, at any length."""
    return _WORD.findall(text)


def is_name(text: str) -> bool:
    """Whether a camera, a program or a content system gave this name, and no person."""
    return bool(_CAMERA.match(_SUFFIX.sub("", _FILE.sub("", text)).strip(" -_.,:;()\"'")))


def is_meaningful(text: str) -> bool:
    """One word that means something, or two short ones."""
    left = [w for w in words(text) if w.casefold() not in GENERIC]
    if any(_WIDE.search(word) for word in left):
        return True
    return any(len(w) >= 3 for w in left) or sum(len(w) == 2 for w in left) >= 2


def file_words(text: str, at_least: int = 2) -> str | None:
    """Words of a file name or slug; "" where it has none to say; None if `text` is no file name.

    ``racoon-procyon-lotor-1024x768.jpg`` is ``racoon procyon lotor``; ``DSC_0482.JPG`` is "".
    """
    bare = _FILE.sub("", text.strip())
    stem = _SUFFIX.sub("", bare)
    if stem == bare and (" " in bare or not re.search(r"\w[-_+]\w+[-_+]\w", bare)):
        return None
    if stem != bare and not _SUFFIX.search(bare[-12:]):
        return None  # a sentence that mentions a file
    if stem == bare and not is_slug(bare):
        return None
    return slug_words(stem, at_least)


def is_slug(text: str) -> bool:
    """One run of lower-case words and digits, joined by hyphens or underscores."""
    parts = re.split(r"[-_+]", text)
    return " " not in text and len(parts) >= 4 and text == text.lower() and text[0].isalnum()


def slug_words(stem: str, at_least: int) -> str:
    """The words of a slug if there are `at_least` that mean something, else ""."""
    parts = [p for p in re.split(r"[-_+.\s]+|%20", unquote(stem)) if p]
    while parts and _SIZE.match(parts[-1].lower()):
        parts.pop()
    while parts and (parts[0].isdigit() or is_name(parts[0])):
        parts.pop(0)
    telling = [p for p in parts if len(p) >= 3 and p.casefold() not in GENERIC and _is_word(p)]
    odd = sum(not (_is_word(p) or (p.isdigit() and len(p) <= 4)) for p in parts)
    if is_name(stem) or len(telling) < at_least or odd > len(parts) / 4:
        return ""
    return " ".join(parts)


def _is_word(part: str) -> bool:
    return part.isalpha() and len(part) <= 24 and (len(part) < 3 or bool(_VOWEL.search(part)))
