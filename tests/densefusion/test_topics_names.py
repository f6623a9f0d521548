"""Names of topics, and of what the brokers know them by."""

from __future__ import annotations

import re

from densefusion import topics
from densefusion.settings import Settings


def test_a_roster_has_a_topic_for_each_expert() -> None:
    names = topics.all_topics(["ocr", "pose"])
    assert names == [
        "urls", "fetched", "images", "priors.ocr", "priors.pose", "captions", "rejects",
        "dead-letters",
    ]  # fmt: skip


def test_names_are_legal_in_kafka_and_distinct() -> None:
    names = topics.all_topics(Settings(_env_file=None).experts.roster)
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"[A-Za-z0-9._-]{1,249}", name) for name in names)


def test_no_roster_has_no_priors() -> None:
    assert not [name for name in topics.all_topics([]) if name.startswith("priors")]
