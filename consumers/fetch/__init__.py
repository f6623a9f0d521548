"""Fetch: from a URL to an image whose bytes are in the object store.

urls.py       text to URL, or why not
addresses.py  which addresses may be connected to, checked at the moment of connecting
resolver.py   name lookups on threads of their own
http.py       one GET with redirects, deadline and retries
body.py       bodies, bounded: length, content encodings
inspect.py    bytes to width, height, type, perceptual hash; proves that the image is whole
formats.py    what bytes are, by their content
phash.py      the perceptual hash
embedded.py   EXIF, IPTC and XMP texts
stage.py      the stage itself, and the table of reject reasons
"""

from consumers.fetch.stage import Fetch

__all__ = ["Fetch"]
