"""The ledger is exact for a run that went well, and for nothing else."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.chaos import pictures
from tests.chaos.ledger import Caption, Evidence, Reject, check
from tests.chaos.pictures import Expected

SEED, COUNT, PARTITIONS = 2, 300, 3
EXPECTED = [pictures.expected(f"http://pictures/{n}", n, SEED) for n in range(COUNT)]


def good_run() -> Evidence:
    """What a run without any fault leaves behind."""
    evidence = Evidence(between={"fetched": Counter(), "images": Counter()})
    for name in pictures.EXPERTS:
        evidence.between[f"priors.{name}"] = Counter()
    first: dict[str, str] = {}
    for number, expected in enumerate(EXPECTED):
        if expected.reason is not None:
            _reject(evidence, expected, expected.reason, None)
            continue
        image = expected.image_id or ""
        evidence.between["fetched"][expected.url] += 1
        if image in first:
            _reject(evidence, expected, "duplicate", first[image])
            continue
        first[image] = expected.url
        for topic, keys in evidence.between.items():
            if topic != "fetched":
                keys[image] += 1
        _caption(evidence, expected, (number % PARTITIONS, number))
    return evidence


def _reject(evidence: Evidence, expected: Expected, reason: str, original: str | None) -> None:
    reject = Reject(expected.url, reason, original, (0, len(evidence.rejects)), "rejects")
    evidence.rejects.append(reject)
    evidence.reject_rows.append(replace(reject, where="dataset/rejects/0"))


def _caption(evidence: Evidence, expected: Expected, image: tuple[int, int]) -> None:
    place = (image[0], 2 * image[1])
    caption = Caption(
        expected.url, expected.image_id or "", image, place, f"picture {expected.number}",
        pictures.findings(expected.number), (), "captions",
    )  # fmt: skip
    evidence.captions.append(caption)
    evidence.caption_rows.append(replace(caption, place=image, where=f"shard {image[0]}"))
    evidence.images[image] = expected.url
    evidence.objects.add(expected.image_id or "")


def test_a_good_run_is_exact() -> None:
    verdict = check(EXPECTED, good_run())
    assert verdict.exact, dict(verdict.wrong)
    assert verdict.captions + verdict.rejects.total() == COUNT
    assert verdict.duplicates == verdict.lost == 0
    assert verdict.rejects["duplicate"] > 0


def lose_a_caption(evidence: Evidence) -> None:
    evidence.captions.pop(7)


def lose_a_reject(evidence: Evidence) -> None:
    evidence.rejects.pop()


def caption_twice(evidence: Evidence) -> None:
    last = max(evidence.captions, key=lambda caption: caption.place)
    evidence.captions.append(replace(last, place=(last.place[0], last.place[1] + 2)))


def reject_twice(evidence: Evidence) -> None:
    evidence.rejects.append(replace(evidence.rejects[0], place=(1, 0)))


def caption_and_reject(evidence: Evidence) -> None:
    url = evidence.captions[3].url
    evidence.rejects.append(Reject(url, "duplicate", url, (2, 0), "rejects"))


def row_twice_in_a_shard(evidence: Evidence) -> None:
    evidence.caption_rows.append(evidence.caption_rows[0])


def reject_row_twice(evidence: Evidence) -> None:
    evidence.reject_rows.append(replace(evidence.reject_rows[0], where="dataset/rejects/1"))


def prior_twice(evidence: Evidence) -> None:
    evidence.between["priors.size"][evidence.captions[0].image_id] += 1


def prior_lost(evidence: Evidence) -> None:
    del evidence.between["priors.size"][evidence.captions[0].image_id]


def row_lost(evidence: Evidence) -> None:
    evidence.caption_rows.pop()


def reject_row_lost(evidence: Evidence) -> None:
    evidence.reject_rows.pop()


def row_of_another_caption(evidence: Evidence) -> None:
    evidence.caption_rows[5] = replace(evidence.caption_rows[5], text="something else")


def priors_swapped(evidence: Evidence) -> None:
    one, two = evidence.captions[:2]
    evidence.captions[:2] = [
        replace(one, findings=two.findings),
        replace(two, findings=one.findings),
    ]


def prior_missing(evidence: Evidence) -> None:
    evidence.captions[0] = replace(evidence.captions[0], missing=("size",))


def prior_unsaid(evidence: Evidence) -> None:
    few = {"number": evidence.captions[0].findings["number"]}
    evidence.captions[0] = replace(evidence.captions[0], findings=few)


def prior_failed(evidence: Evidence) -> None:
    findings = {**evidence.captions[0].findings, "size": None}
    evidence.captions[0] = replace(evidence.captions[0], findings=findings)


def wrong_image(evidence: Evidence) -> None:
    evidence.captions[0] = replace(evidence.captions[0], image_id="0" * 64)


def wrong_place(evidence: Evidence) -> None:
    partition, offset = evidence.captions[0].image
    evidence.images[partition, offset] = "http://pictures/elsewhere"


def out_of_order(evidence: Evidence) -> None:
    same = [each for each in evidence.captions if each.image[0] == 1][:2]
    for one, other in (same, same[::-1]):
        evidence.captions[evidence.captions.index(one)] = replace(one, place=other.place)


def wrong_reason(evidence: Evidence) -> None:
    evidence.rejects[0] = replace(evidence.rejects[0], reason="timeout")


def wrong_original(evidence: Evidence) -> None:
    for place, reject in enumerate(evidence.rejects):
        if reject.reason == "duplicate":
            evidence.rejects[place] = replace(reject, duplicate_of="http://pictures/elsewhere")
            return


def dead_letter(evidence: Evidence) -> None:
    evidence.dead.append("KeyError")


def broken_shard(evidence: Evidence) -> None:
    evidence.broken.append("shard 0, 0 bytes")


def object_lost(evidence: Evidence) -> None:
    evidence.objects.discard(evidence.captions[0].image_id)


def stranger(evidence: Evidence) -> None:
    evidence.rejects.append(Reject("http://pictures/9999", "http-404", None, (2, 1), "rejects"))


LOST = [lose_a_caption, lose_a_reject, row_lost, reject_row_lost]
TWICE = [caption_twice, reject_twice, caption_and_reject, row_twice_in_a_shard, reject_row_twice]
TWICE += [prior_twice]
WRONG = [
    prior_lost, row_of_another_caption, priors_swapped, prior_missing, prior_unsaid, prior_failed,
    wrong_image, wrong_place, out_of_order, wrong_reason, wrong_original, dead_letter, broken_shard,
    object_lost, stranger,
]  # fmt: skip


@pytest.mark.parametrize("spoil", [*LOST, *TWICE, *WRONG], ids=lambda spoil: spoil.__name__)
def test_nothing_else_is(spoil: Callable[[Evidence], None]) -> None:
    evidence = good_run()
    spoil(evidence)
    verdict = check(EXPECTED, evidence)
    assert not verdict.exact
    assert (verdict.lost > 0) >= (spoil in LOST)
    assert (verdict.duplicates > 0) >= (spoil in TWICE)
