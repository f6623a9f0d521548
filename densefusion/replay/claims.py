"""The claim that a dead letter of curate may have left behind.

`consumers.curate` claims a content for the record that brings it, named by its place. Where that
record died after its claim, its next attempt comes from another place, and would be told to be a
duplicate of itself. So its claim is taken back before it is put back. If another of the same bytes
comes in between, that one is captioned, and this one is its duplicate: as it should be.
"""

from __future__ import annotations

import json
import re

from densefusion.replay.origin import Origin
from densefusion.store import Missing, ObjectStore

_IMAGE_ID = re.compile(rb"[0-9a-f]{64}")


class Claims:
    """
    Args:
        fetched: full name of the topic ``fetched``.
        log: its id, as the claims have it.
    """

    def __init__(self, store: ObjectStore, fetched: str, log: str) -> None:
        self._store = store
        self._fetched = fetched
        self._log = log

    def take_back(self, origin: Origin) -> bool:
        """Take back the claim of `origin`, if it holds one. Raises `StoreError`."""
        if origin.topic != self._fetched or not _IMAGE_ID.fullmatch(origin.key or b""):
            return False
        image_id = (origin.key or b"").decode()
        key = f"claims/{image_id[:2]}/{image_id[2:4]}/{image_id}"
        try:
            claim = json.loads(self._store.read(key))
        except Missing:
            return False
        place = (claim.get("log"), claim.get("partition"), claim.get("offset"))
        if place != (self._log, origin.partition, origin.offset):
            return False
        self._store.delete(key)
        return True
