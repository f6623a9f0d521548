"""The ledger: what was to become of every URL, held against what did. Pure: no Kafka, no store."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.chaos.pictures import Expected, findings

Place = tuple[int, int]  # partition, offset


@dataclass(frozen=True, slots=True)
class Caption:
    """A caption, on its topic or as a row of the dataset.

    Attributes:
        image: place of the image on the topic ``images``, as the caption has it.
        place: of the message on ``captions``; of a row: the same as `image`.
        findings: for each expert that answered, what it found; None where it failed.
        where: name of the topic, or key of the shard.
    """

    url: str
    image_id: str
    image: Place
    place: Place
    text: str
    findings: Mapping[str, Mapping[str, Any] | None]
    missing: tuple[str, ...]
    where: str


@dataclass(frozen=True, slots=True)
class Reject:
    """A reject; `place` is that of the message on ``rejects``."""

    url: str
    reason: str
    duplicate_of: str | None
    place: Place
    where: str


@dataclass(slots=True)
class Evidence:
    """What was found at the end of a run.

    Attributes:
        between: for each topic on the way, how often each key came by: URLs on ``fetched``, image
            ids further on.
        images: place on ``images`` -> URL.
        dead: what is said of each dead letter.
        objects: ids of the images whose bytes are in the object store, and the right ones.
        broken: shards that cannot be read, and images with other bytes.
    """

    captions: list[Caption] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)
    between: dict[str, Counter[str]] = field(default_factory=dict)
    images: dict[Place, str] = field(default_factory=dict)
    dead: list[str] = field(default_factory=list)
    caption_rows: list[Caption] = field(default_factory=list)
    reject_rows: list[Reject] = field(default_factory=list)
    objects: set[str] = field(default_factory=set)
    broken: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Verdict:
    """The ledger's end: exact if nothing is wrong.

    Attributes:
        wrong: kind of fault -> what was found, one line each.
    """

    urls: int
    captions: int
    rejects: Counter[str]
    wrong: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))

    @property
    def exact(self) -> bool:
        return not any(self.wrong.values())

    @property
    def duplicates(self) -> int:
        """Records that are there once too often, on any topic or in the dataset."""
        return sum(len(lines) for kind, lines in self.wrong.items() if kind.startswith("twice"))

    @property
    def lost(self) -> int:
        """URLs that have come to no end, and records that the dataset lacks."""
        return sum(len(lines) for kind, lines in self.wrong.items() if kind.startswith("lost"))


def check(expected: Iterable[Expected], evidence: Evidence) -> Verdict:
    """Hold the evidence against what was to be."""
    wanted = {each.url: each for each in expected}
    reasons = Counter(reject.reason for reject in evidence.rejects)
    verdict = Verdict(len(wanted), len(evidence.captions), reasons)
    _ends(wanted, evidence, verdict)
    _duplicates(wanted, evidence, verdict)
    for caption in evidence.captions:
        _caption(wanted.get(caption.url), caption, evidence, verdict)
    _order(evidence.captions, verdict)
    _between(wanted, evidence, verdict)
    _dataset(evidence, verdict)
    verdict.wrong["dead letter"].extend(evidence.dead)
    verdict.wrong["broken object"].extend(evidence.broken)
    return verdict


def _ends(wanted: Mapping[str, Expected], evidence: Evidence, verdict: Verdict) -> None:
    """Every URL in exactly one of captions and rejects, the bad ones with their reason."""
    wrong = verdict.wrong
    ends: dict[str, list[str]] = defaultdict(list)
    for caption in evidence.captions:
        ends[caption.url].append(f"caption at {caption.place}")
    for reject in evidence.rejects:
        ends[reject.url].append(f"reject {reject.reason} at {reject.place}")
        expected = wanted.get(reject.url)
        allowed = {expected.reason or "duplicate"} if expected is not None else set()
        if expected is not None and reject.reason not in allowed:
            wrong["wrong reason"].append(f"{reject.url}: {reject.reason}, not {allowed.pop()}")
    for url, found in ends.items():
        if url not in wanted:
            wrong["unknown URL"].append(url)
        elif len(found) > 1:
            wrong["twice at the end"].append(f"{url}: {'; '.join(found)}")
    for url in wanted.keys() - ends.keys():
        passed = [topic for topic, keys in evidence.between.items() if _keys(wanted[url], keys)]
        wrong["lost"].append(f"{url}: seen on {', '.join(passed) or 'no topic'}")


def _keys(expected: Expected, keys: Mapping[str, int]) -> bool:
    return expected.url in keys or expected.image_id in keys


def _duplicates(wanted: Mapping[str, Expected], evidence: Evidence, verdict: Verdict) -> None:
    """Of URLs with the same bytes one is captioned, and the others name it."""
    captioned = {caption.image_id: caption.url for caption in evidence.captions}
    for reject in evidence.rejects:
        expected = wanted.get(reject.url)
        if reject.reason != "duplicate" or expected is None or expected.image_id is None:
            continue
        held = captioned.get(expected.image_id)
        if reject.duplicate_of != held:
            verdict.wrong["wrong original"].append(
                f"{reject.url}: duplicate of {reject.duplicate_of}, but {held} is captioned"
            )


def _caption(
    expected: Expected | None, caption: Caption, evidence: Evidence, verdict: Verdict
) -> None:
    """The right image and the right priors."""
    if expected is None:
        return
    wrong = verdict.wrong
    if expected.reason is not None:
        wrong["captioned though bad"].append(f"{caption.url}: should be {expected.reason}")
        return
    if caption.image_id != expected.image_id:
        wrong["wrong image"].append(f"{caption.url}: {caption.image_id}")
    if evidence.images.get(caption.image) != caption.url:
        at = evidence.images.get(caption.image)
        wrong["wrong place"].append(f"{caption.url}: at its place {caption.image} is {at}")
    if caption.image_id not in evidence.objects:
        wrong["no object"].append(f"{caption.url}: {caption.image_id}")
    if not caption.text:
        wrong["no text"].append(caption.url)
    if caption.missing:
        wrong["missing prior"].append(f"{caption.url} at {caption.image}: {caption.missing}")
    for expert, right in findings(expected.number).items():
        if expert in caption.findings and caption.findings[expert] != right:
            found = caption.findings[expert]
            wrong["wrong prior"].append(f"{caption.url}: {expert} says {found}, not {right}")
        elif expert not in caption.findings and not caption.missing:
            wrong["missing prior"].append(f"{caption.url} at {caption.image}: {expert}, unsaid")


def _order(captions: Sequence[Caption], verdict: Verdict) -> None:
    """On each partition captions come in the order of their images."""
    last: dict[int, Caption] = {}
    for caption in sorted(captions, key=lambda each: each.place):
        partition = caption.place[0]
        before = last.get(partition)
        if caption.image[0] != partition:
            verdict.wrong["wrong partition"].append(
                f"{caption.url}: {caption.image} on {partition}"
            )
        elif before is not None and before.image[1] >= caption.image[1]:
            verdict.wrong["out of order"].append(
                f"partition {partition}: image {caption.image[1]} after {before.image[1]}"
            )
        last[partition] = caption


def _between(wanted: Mapping[str, Expected], evidence: Evidence, verdict: Verdict) -> None:
    """On the way too: each URL fetched once, each image passed on once, each expert once."""
    good = [each for each in wanted.values() if each.reason is None]
    urls = {each.url for each in good}
    ids = {each.image_id or "" for each in good}
    for topic, keys in evidence.between.items():
        should = urls if topic == "fetched" else ids
        for key, times in keys.items():
            if times > 1:
                verdict.wrong[f"twice on {topic}"].append(f"{key}: {times} times")
            if key not in should:
                verdict.wrong[f"unknown on {topic}"].append(key)
        verdict.wrong[f"never on {topic}"].extend(should - keys.keys())


def _dataset(evidence: Evidence, verdict: Verdict) -> None:
    """The rows are the topics' records: none twice, none too many, none missing."""
    wrong = verdict.wrong
    for kind, rows, records in (
        ("captions", evidence.caption_rows, evidence.captions),
        ("rejects", evidence.reject_rows, evidence.rejects),
    ):
        stored: dict[object, str] = {}
        for row in rows:
            key = _content(row)
            if key in stored:
                where = (
                    f"{row.where}" if row.where == stored[key] else f"{row.where}, {stored[key]}"
                )
                wrong[f"twice in the dataset ({kind})"].append(f"{row.url}: {where}")
            stored[key] = row.where
        published = {_content(record): record.url for record in records}
        for key in published.keys() - stored.keys():
            wrong[f"lost in the dataset ({kind})"].append(str(published[key]))
        for key in stored.keys() - published.keys():
            wrong[f"unknown in the dataset ({kind})"].append(f"{key} in {stored[key]}"[:300])


def _content(row: Caption | Reject) -> object:
    if isinstance(row, Reject):
        return (row.place, row.url, row.reason, row.duplicate_of)
    found = sorted((name, repr(dict(each or {}))) for name, each in row.findings.items())
    return (row.image, row.url, row.image_id, row.text, tuple(found), row.missing)
