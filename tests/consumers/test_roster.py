"""Who is who: stages, experts, and the codec that knows them."""

from __future__ import annotations

import base64
import uuid
from importlib.metadata import EntryPoint
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumers import roster as roster_module
from consumers.expert import GROUP
from consumers.roster import expert_classes, log_id, make_codec, stage_names
from densefusion.errors import SettingsError
from densefusion.settings import Experts, Settings
from densefusion.topics import Topic
from schemas import SchemaError
from tests.consumers.records import prior


def settings(*roster: str) -> Settings:
    return Settings(_env_file=None, experts=Experts(roster=list(roster)))


def test_stages_in_the_order_of_the_stream() -> None:
    assert stage_names(settings("ocr", "tagging")) == [
        "fetch", "curate", "ocr", "tagging", "fusion", "dataset",
    ]  # fmt: skip


def test_the_projects_own_experts_are_registered_under_their_names() -> None:
    names = Experts.model_fields["roster"].default
    found = expert_classes(names)
    assert list(found) == names
    for name, expert in found.items():
        assert expert.name == name and expert.title and expert.schema()["type"] == "record"


def test_unknown_expert_is_named_together_with_the_known() -> None:
    with pytest.raises(SettingsError, match=r"no expert named pose, gait; installed are .*ocr"):
        expert_classes(["ocr", "pose", "gait"])


class Bare:
    """An expert whose schema was left out of its package."""

    @staticmethod
    def schema() -> dict[str, Any]:
        raise FileNotFoundError("bare.avsc")


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("no_such_package:Bare", "No module named 'no_such_package'"),
        (f"{__name__}:Bear", "no attribute 'Bear'"),
        (f"{__name__}:Bare", "its schema cannot be had: bare.avsc"),
    ],
)
def test_what_is_wrong_with_anothers_expert_is_told(
    value: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    point = EntryPoint("bare", value, GROUP)
    monkeypatch.setattr(roster_module, "experts", lambda: {"bare": point})
    with pytest.raises(SettingsError, match=f"^expert bare.*{said}"):
        make_codec(settings("bare"))


def test_codec_knows_the_priors_of_the_roster_only() -> None:
    codec = make_codec(settings("ocr"))
    raw = codec.encode("Prior:ocr", prior("ocr"), "priors.ocr")
    assert codec.decode("Prior:ocr", raw) == prior("ocr")
    with pytest.raises((SchemaError, KeyError)):
        codec.encode("Prior:pose", prior("ocr"), "priors.pose")


@given(st.uuids())
def test_log_id_is_the_same_in_either_alphabet(topic_id: uuid.UUID) -> None:
    ids = {
        log_id(Topic("images", 4, encode(topic_id.bytes).decode().rstrip("=")))
        for encode in (base64.b64encode, base64.urlsafe_b64encode)
    }
    assert ids == {topic_id.hex[-12:]}
