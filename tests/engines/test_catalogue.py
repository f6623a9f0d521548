"""The catalogue: what it declares holds, and what is declared wrongly is said."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from engines.catalogue import (
    Folder,
    Hub,
    Model,
    Package,
    Port,
    Range,
    catalogue,
    configure,
    locate,
    models_folder,
    read,
)
from engines.catalogue.check import faults
from engines.errors import EngineError
from engines.export.described import picture

STARTERS = [model for model in catalogue().values() if model.profile == "starter"]
ENTRY = """
[finder]
task = "detection"
version = "1"
source = { folder = "/models/finder.onnx" }
licence = "MIT"
inputs.image = "uint8[n, 8, 8, 3]"
outputs.boxes = "float32[n, 4]"
axes.n = [1, 2, 4]
prepare = "whole"
finish = "boxes"
"""


@pytest.mark.parametrize("model", STARTERS, ids=lambda model: model.name)
def test_a_starter_is_here_and_keeps_its_contract(model: Model) -> None:
    assert model.sha256 is not None
    assert faults(model) == []


def test_both_profiles_cover_the_experts() -> None:
    tasks = {profile: {m.task for m in catalogue().values() if m.profile == profile}
             for profile in ("starter", "full")}  # fmt: skip
    assert {"detection", "tagging", "ocr-detection", "ocr-recognition"} <= tasks["starter"]
    assert {
        "detection", "zero-shot-tagging", "open-detection", "ocr-detection", "ocr-recognition",
        "embedding",
    } <= tasks["full"]  # fmt: skip


def test_a_hub_is_named_with_a_revision_that_stays() -> None:
    for model in catalogue().values():
        if isinstance(model.source, Hub):
            assert re.fullmatch(r"[0-9a-f]{40}|v\d+\.\d+\.\d+", model.source.revision), model.name
            assert model.source.revision == model.version


def test_what_an_export_makes_has_no_hash_and_what_is_onnx_has_one() -> None:
    for model in catalogue().values():
        assert (model.sha256 is None) == (model.export is not None), model.name


BROKEN = {
    "a_name": (lambda m: replace(m, outputs=(replace(m.outputs[0], name="tags"), *m.outputs[1:])),
               ["output tags is missing", "output logits is not in the catalogue"]),
    "a_size": (lambda m: replace(m, outputs=(replace(m.outputs[0], shape=("n", 99)), m.outputs[1])),
               ["output logits is float32[n, 1000], the catalogue says float32[n, 99]"]),
    "a_rank": (lambda m: replace(m, outputs=(replace(m.outputs[0], shape=("n",)), m.outputs[1])),
               ["output logits is float32[n, 1000], the catalogue says float32[n]"]),
    "a_dtype": (lambda m: replace(m, outputs=(replace(m.outputs[0], dtype="int64"), m.outputs[1])),
                ["output logits is float32[n, 1000], the catalogue says int64[n, 1000]"]),
    "an_input_more": (lambda m: replace(m, inputs=(*m.inputs, Port("mask", "uint8", (1,)))),
                      ["input mask is missing"]),
    "an_axis": (lambda m: replace(m, inputs=(replace(
                    m.inputs[0], shape=("n", "h", 224, 3),
                    axes={**m.inputs[0].axes, "h": Range(32, 224, 640)}),)),
                ["input image is uint8[n, 224, 224, 3], the catalogue says uint8[n, h, 224, 3]"]),
}  # fmt: skip


@pytest.mark.parametrize("what", BROKEN)
def test_a_contract_that_the_file_does_not_keep(what: str) -> None:
    change, said = BROKEN[what]
    assert faults(change(catalogue()["efficientnet-lite0"])) == said


def test_a_file_that_is_not_the_one(tmp_path: Path) -> None:
    file = tmp_path / "model.onnx"
    file.write_bytes(b"no model")
    model = replace(catalogue()["efficientnet-lite0"], source=Folder(str(file)))
    assert "SHA-256" in faults(model)[0]
    assert "cannot be loaded" in faults(model)[1]
    file.unlink()
    assert "no file" in faults(model)[0]


def test_ports() -> None:
    port = catalogue()["pp-ocrv6-rec-small"].inputs[0]
    assert str(port) == "float32[n, 3, 48, width]"
    assert [port.at("min"), port.at("max")] == [(1, 3, 48, 48), (8, 3, 48, 2400)]
    with pytest.raises(EngineError, match="no bounds"):
        catalogue()["pp-ocrv6-rec-small"].outputs[0].at("max")
    with pytest.raises(EngineError, match="no port"):
        Port.parse("x", "float99[n]", {})
    with pytest.raises(EngineError, match="min <= opt <= max"):
        Range(4, 2, 8)


def test_bounds_for_so_many_pictures() -> None:
    """Two views of each; and what is enough already stays, so that one engine serves many."""
    detector, dino = catalogue()["coco-ssdlite-mobilenet-v2"], catalogue()["dinov2-base"]
    assert detector.serving(16) == detector
    assert detector.serving(17).inputs[0].at("max")[0] == 34
    assert detector.serving(17).inputs[0].at("opt")[0] == 16
    assert dino.serving(40).inputs[0].at("max")[0] == 40
    text = catalogue()["siglip2-base-text"]
    assert text.serving(500) == text


def test_a_text_detectors_bounds_hold_the_side_that_is_asked_for() -> None:
    detector, reader = catalogue()["pp-ocrv6-det-small"], catalogue()["pp-ocrv6-rec-small"]
    assert detector.serving(8, 960) == detector
    assert detector.serving(12, 1280).inputs[0].at("max") == (12, 3, 1280, 1280)
    assert detector.serving(12, 1280).inputs[0].at("min") == (1, 3, 32, 32)
    assert reader.serving(8, 5000) == reader


def test_buckets_are_powers_of_two_pictures_and_the_largest() -> None:
    assert catalogue()["coco-ssdlite-mobilenet-v2"].buckets == (2, 4, 8, 16, 32)
    assert catalogue()["rt-detr-v2-r50"].buckets == (1, 2, 4, 8, 16)
    assert catalogue()["rt-detr-v2-r50"].serving(20).buckets == (1, 2, 4, 8, 16, 20)
    assert catalogue()["siglip2-base-text"].buckets == (1, 2, 4, 8, 16, 32, 64)
    # Sizes that vary beside the batch; those of the classifier are bounds of one size.
    assert catalogue()["pp-ocrv6-rec-small"].buckets == catalogue()["owlv2-base"].buckets == ()
    assert catalogue()["pp-ocr-cls-mobile"].buckets == (1, 2, 4, 8, 16, 32)


# As on the hub at the catalogue's revisions; of each file, what says how a picture is prepared.
PROCESSORS: dict[str, dict[str, object]] = {
    "dinov2-base": {
        "crop_size": {"height": 224, "width": 224}, "do_center_crop": True, "do_resize": True,
        "size": {"shortest_edge": 256}, "resample": 3,
    },
    "siglip2-base": {
        "do_resize": True, "size": {"height": 224, "width": 224}, "resample": 2,
    },
    "rt-detr-v2-r50": {
        "do_pad": False, "do_resize": True, "size": {"height": 640, "width": 640}, "resample": 2,
    },
    "owlv2-base": {
        "do_pad": True, "do_resize": True, "size": {"height": 960, "width": 960}, "resample": 2,
    },
}  # fmt: skip


@pytest.mark.parametrize("name", PROCESSORS)
def test_preparation_is_called_what_the_makers_files_ask_for(name: str, tmp_path: Path) -> None:
    asked = PROCESSORS[name] | {
        "rescale_factor": 1 / 255, "do_normalize": True,
        "image_mean": [0.5] * 3, "image_std": [0.5] * 3,
    }  # fmt: skip
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(asked))
    shown, _ = picture(tmp_path)
    kind = {"whole": "whole", "crop": "crop", "square": "pad-square"}[shown.fit]
    model = catalogue()[name]
    assert model.prepare == f"{kind}-{shown.height}"
    assert model.inputs[0].shape[1:] == (shown.height, shown.width, 3)


def test_other_bounds() -> None:
    model = catalogue()["pp-ocrv6-rec-small"].bounded(n=Range(1, 2, 64))
    assert model.inputs[0].at("max") == (64, 3, 48, 2400)
    assert catalogue()["pp-ocrv6-rec-small"].inputs[0].at("max") == (8, 3, 48, 2400)
    with pytest.raises(EngineError, match="no axis depth"):
        model.bounded(depth=Range(1, 1, 1))


@pytest.fixture
def configured() -> Iterator[None]:
    yield
    configure()


@pytest.mark.usefixtures("configured")
def test_models_of_the_users_own(tmp_path: Path) -> None:
    own = tmp_path / "own.toml"
    own.write_text(ENTRY + ENTRY.replace("[finder]", "[efficientnet-lite0]"))
    configure(extra=own, folder=tmp_path / "models")
    assert catalogue()["finder"].source == Folder("/models/finder.onnx")
    assert catalogue()["efficientnet-lite0"].licence == "MIT"
    assert models_folder() == tmp_path / "models"
    configure()
    assert "finder" not in catalogue()


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('licence = "MIT"\n', "", "without licence"),
        ('licence = "MIT"', 'licence = "MIT"\nlisence = "MIT"', "unknown lisence"),
        ('"detection"', '"detecting"', "no such task"),
        ("axes.n = [1, 2, 4]", "", "the axis n has no bounds"),
        ("[1, 2, 4]", "[4, 2, 1]", "min <= opt <= max"),
        ("uint8[n, 8, 8, 3]", "uint8 n", "no port"),
        ('folder = "/models/finder.onnx"', 'folder = "x", revision = "y"', "no source"),
        ("[finder]", "[../finder]", "own.toml"),
        ('version = "1"', "version =", "own.toml"),
    ],
)
def test_what_is_declared_wrongly_is_said(old: str, new: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    assert old in ENTRY
    path.write_text(ENTRY.replace(old, new))
    with pytest.raises(EngineError, match=re.escape(said)) as error:
        read(path, "full")
    assert "own.toml" in str(error.value)


def test_what_is_not_here_is_said_with_what_to_do(tmp_path: Path) -> None:
    hub = catalogue()["siglip2-base"]
    with pytest.raises(EngineError, match=r"engines pull --model siglip2-base`, then .*export"):
        locate(hub, tmp_path)
    assert isinstance(hub.source, Hub)
    folder = tmp_path / "google--siglip2-base-patch16-224" / hub.source.revision
    folder.mkdir(parents=True)
    for name in hub.source.files:
        (folder / name).touch()
    with pytest.raises(EngineError, match=r"; run `densefusion engines export"):
        locate(hub, tmp_path)
    package = replace(hub, source=Package("no-such-dist", "no_such_package/m.onnx"), export=None)
    with pytest.raises(EngineError, match="pip install no-such-dist"):
        locate(package)
    gone = replace(hub, source=Package("rapidocr", "rapidocr/models/gone.onnx"), export=None)
    with pytest.raises(EngineError, match="does not carry it"):
        locate(gone)
