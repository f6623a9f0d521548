"""The evidence: every topic from its beginning, committed records only, and the dataset."""

from __future__ import annotations

import hashlib
import io
import logging
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pyarrow.parquet as pq
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from consumers.roster import make_codec
from densefusion import clients, topics
from densefusion.settings import Settings
from densefusion.store import Missing, ObjectStore
from densefusion.topics import Topic
from schemas import Codec
from tests.chaos.ledger import Caption, Evidence, Reject
from tests.chaos.pictures import EXPERTS

log = logging.getLogger("chaos")
_SECONDS = 120.0
_PRIOR_COLUMNS = {"model", "model_version", "status", "reason"}


def evidence(settings: Settings, found: dict[str, Topic], run: str) -> Evidence:
    """Everything that a run has left. Raises RuntimeError where a topic has no readable end."""
    codec = make_codec(settings)
    seen = Evidence()
    for message in _messages(settings, found[topics.CAPTIONS]):
        _check_run(message, run)
        seen.captions.append(_caption(codec, message))
    for message in _messages(settings, found[topics.REJECTS]):
        _check_run(message, run)
        seen.rejects.append(_reject(codec, message))
    for message in _messages(settings, found[topics.DEAD_LETTERS]):
        headers = dict(message.headers() or [])
        seen.dead.append(str({name: text for name, text in headers.items() if name != "run"}))
    between = [topics.FETCHED, topics.IMAGES, *(topics.priors(name) for name in EXPERTS)]
    for name in between:
        keys = seen.between[name] = Counter()
        for message in _messages(settings, found[name]):
            key = (message.key() or b"").decode()
            if name in (topics.FETCHED, topics.IMAGES):
                url = codec.decode("Image", message.value() or b"")["url"]
                if name == topics.FETCHED:
                    key = url
                else:
                    seen.images[_place(message)] = url
            keys[key] += 1
    _dataset(settings, seen)
    return seen


def _messages(settings: Settings, topic: Topic) -> Iterator[Message]:
    """Every committed message of a topic."""
    consumer = Consumer(
        {
            **clients.common(settings.kafka),
            "group.id": f"ledger-{time.time_ns()}",
            "enable.auto.commit": False,
            "isolation.level": "read_committed",
            "auto.offset.reset": "error",
            "enable.partition.eof": True,
            "check.crcs": True,
        }
    )
    try:
        places = [TopicPartition(topic.name, number, 0) for number in range(topic.partitions)]
        # Where a transaction is still open, committed records end before the partition does.
        ends = {each.partition: _end(consumer, each) for each in places}
        consumer.assign(places)
        open_still = set(ends)
        until = time.monotonic() + _SECONDS
        while open_still:
            for message in consumer.consume(2000, 0.5):
                error = message.error()
                if error is None:
                    yield message
                elif error.code() == KafkaError._PARTITION_EOF:
                    if (message.offset() or 0) >= ends[message.partition() or 0]:
                        open_still.discard(message.partition() or 0)
                elif error.fatal() or not error.retriable():
                    raise KafkaException(error)
            if time.monotonic() > until:
                raise RuntimeError(
                    f"{topic.name}: partitions {open_still} cannot be read to the end"
                )
    finally:
        consumer.close()


def _end(consumer: Consumer, place: TopicPartition) -> int:
    _, end = consumer.get_watermark_offsets(place, 15)
    return int(end)


def _check_run(message: Message, run: str) -> None:
    if dict(message.headers() or []).get("run") != run.encode():
        raise RuntimeError(f"a record without its run at {message.topic()} {_place(message)}")


def _caption(codec: Codec, message: Message) -> Caption:
    value = codec.decode("Caption", message.value() or b"")
    found = {}
    for used in value["priors"]:
        prior = codec.decode(f"Prior:{used['expert']}", used["record"])
        ours = prior["image_id"] == value["image_id"] and prior["expert"] == used["expert"]
        if not ours or (prior["partition"], prior["offset"]) != (
            value["partition"],
            value["offset"],
        ):
            found[used["expert"]] = {"of another image": prior["image_id"]}
        else:
            found[used["expert"]] = prior["findings"] if prior["status"] == "ok" else None
    return Caption(
        url=value["image"]["url"],
        image_id=value["image_id"] if value["image_id"] == value["image"]["image_id"] else "?",
        image=(value["partition"], value["offset"]),
        place=_place(message),
        text=value["text"],
        findings=found,
        missing=tuple(each["expert"] for each in value["missing"]),
        where=topics.CAPTIONS,
    )


def _reject(codec: Codec, message: Message) -> Reject:
    value = codec.decode("Reject", message.value() or b"")
    return Reject(
        value["url"], value["reason"], value["duplicate_of"], _place(message), topics.REJECTS
    )


def _place(message: Message) -> tuple[int, int]:
    return message.partition() or 0, message.offset() or 0


def _dataset(settings: Settings, seen: Evidence) -> None:
    store = ObjectStore(settings.store)
    try:
        for key in store.keys("dataset/"):
            data = store.read(key)
            try:
                rows = pq.read_table(io.BytesIO(data)).to_pylist()
            except Exception as error:  # whatever pyarrow thinks of it
                seen.broken.append(f"{key}, {len(data)} bytes: {error}")
                continue
            if key.startswith("dataset/captions/"):
                seen.caption_rows += [_caption_row(row, key) for row in rows]
            elif key.startswith("dataset/rejects/"):
                seen.reject_rows += [_reject_row(row, key) for row in rows]
        _images(store, seen)
    finally:
        store.close()


def _images(store: ObjectStore, seen: Evidence) -> None:
    """Every image's bytes are those that its id is the hash of."""

    def ours(key: str) -> bool | None:
        try:
            return hashlib.sha256(store.read(key)).hexdigest() == key.rpartition("/")[2]
        except Missing:
            return None

    listed = set(store.keys("images/"))
    # SeaweedFS, killed in mid-write, may keep an object that it gives and does not list.
    asked = {
        f"images/{each[:2]}/{each[2:4]}/{each}" for each in (c.image_id for c in seen.captions)
    }
    keys = sorted(listed | asked)
    with ThreadPoolExecutor(8) as threads:
        for key, whole in zip(keys, threads.map(ours, keys), strict=True):
            if whole:
                seen.objects.add(key.rpartition("/")[2])
                if key not in listed:
                    log.warning("%s is there, and not listed", key)
            elif whole is False:
                seen.broken.append(f"{key}: other bytes than its name says")


def _caption_row(row: dict[str, Any], key: str) -> Caption:
    place = (row["partition"], row["offset"])
    found = {}
    for expert, prior in row["priors"].items():
        if prior is not None:
            answers = {name: each for name, each in prior.items() if name not in _PRIOR_COLUMNS}
            found[expert] = answers if prior["status"] == "ok" else None
    return Caption(
        row["url"], row["image_id"], place, place, row["caption"], found,
        tuple(row["missing_experts"]), key,
    )  # fmt: skip


def _reject_row(row: dict[str, Any], key: str) -> Reject:
    place = (row["partition"], row["offset"])
    return Reject(row["url"], row["reason"], row["duplicate_of"], place, key)
