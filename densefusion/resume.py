"""A run that was broken off, on a broker that forgets: what it claimed and did not caption.

`consumers.curate` claims every content once and for all. That is right as long as the record that
claimed it lives on in Kafka; on the embedded broker in memory it dies with the run. So such a run
leaves a mark while it is under way, and the next one that finds the mark takes back the claims that
came to nothing: running the list again then captions just what is missing.
"""

from __future__ import annotations

import io
import json
import logging

import pyarrow.parquet as pq

from densefusion.settings import Store
from densefusion.store import ObjectStore

log = logging.getLogger("densefusion.resume")
_MARK = "under-way"


def resume(store: ObjectStore) -> int:
    """Take back the claims of a run that was broken off; how many there were. Leaves the mark."""
    freed = 0
    if _MARK in store.keys(_MARK):
        captioned = _captioned(store)
        for key in list(store.keys("claims/")):
            if key.rpartition("/")[2] in captioned:
                continue
            if json.loads(store.read(key)).get("volatile"):
                store.delete(key)
                freed += 1
        log.info("going on with a run that was broken off", extra={"count": freed})
    store.write(_MARK, b"")
    return freed


def finished(settings: Store) -> None:
    """Every URL has ended, and all of it is stored: nothing to take back."""
    store = ObjectStore(settings)
    store.delete(_MARK)
    store.close()


def _captioned(store: ObjectStore) -> set[str]:
    found: set[str] = set()
    for key in store.keys("dataset/captions/"):
        column = pq.read_table(io.BytesIO(store.read(key)), columns=["image_id"])["image_id"]
        found.update(column.to_pylist())
    return found
