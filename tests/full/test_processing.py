"""What is done before and after the models, against `transformers`' own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from engines.full.boxes import found
from engines.full.card import Card, Picture
from engines.full.pictures import prepare, stretch
from engines.full.texts import Texts
from engines.session import Session
from tests.full.conftest import NEEDS, Export, photograph

PHOTOGRAPHS = ["cat.jpg", "coffee.jpg", "sign_exit.jpg", "rocket.jpg"]
SETTINGS = [
    # ours; `transformers`' class and settings, as published; whether ours is rounded
    (Picture(640, 640, "whole", "bilinear"), "RTDetrImageProcessorPil", {}, False),
    (Picture(224, 224, "whole", "bicubic"), "SiglipImageProcessorPil", {}, False),
    (
        Picture(224, 224, "crop", "bicubic", 256),
        "BitImageProcessorPil",
        {"size": {"shortest_edge": 256}, "crop_size": {"height": 224, "width": 224}},
        False,
    ),
    (Picture(960, 960, "square", "bilinear"), "Owlv2ImageProcessorPil", {}, True),
    (
        Picture(200, 200, "square", "bilinear"),
        "Owlv2ImageProcessorPil",
        {"size": {"height": 200, "width": 200}},
        True,
    ),
]


@pytest.mark.parametrize(("ours", "name", "settings", "rounded"), SETTINGS)
def test_pictures_are_prepared_as_transformers_does(
    ours: Picture, name: str, settings: dict[str, object], rounded: bool
) -> None:
    transformers = pytest.importorskip("transformers", reason=NEEDS)
    pytest.importorskip("torch", reason=NEEDS)
    processor = getattr(transformers, name)(**settings, do_normalize=False, do_rescale=True)
    for photo in PHOTOGRAPHS:
        pixels = photograph(photo)
        wanted = np.asarray(processor(pixels, return_tensors="np")["pixel_values"][0]) * 255
        mine = prepare(pixels, ours).transpose(2, 0, 1).astype(np.float64)
        apart = np.abs(mine - wanted)
        assert mine.shape == wanted.shape
        assert apart[:, 1:-1, 1:-1].max() <= (0.501 if rounded else 1e-3), photo
        # Outside the picture SciPy mirrors where OpenCV repeats: the outermost line of a picture
        # that is enlarged differs by part of a step between its pixels.
        assert apart.max() <= (20 if rounded else 1e-3), photo


def test_boxes_are_those_of_transformers() -> None:
    torch = pytest.importorskip("torch", reason=NEEDS)
    transformers = pytest.importorskip("transformers", reason=NEEDS)
    torch.manual_seed(7)
    logits = torch.randn(2, 30, 5)
    boxes = torch.rand(2, 30, 4) * 0.2 + 0.3
    labels = [f"thing {number}" for number in range(5)]
    outputs = transformers.models.rt_detr.modeling_rt_detr.RTDetrObjectDetectionOutput(
        logits=logits, pred_boxes=boxes
    )
    corners = transformers.image_transforms.center_to_corners_format(boxes).numpy()
    for threshold in (0.5, 0.8):
        theirs = transformers.RTDetrImageProcessorPil().post_process_object_detection(
            outputs, threshold=threshold
        )
        for n, wanted in enumerate(theirs):
            scores = logits[n].sigmoid().numpy()
            mine = found(corners[n], scores, labels, score=threshold, limit=30)
            assert [box.label for box in mine] == [labels[i] for i in wanted["labels"]]
            assert len(mine) > 3
            assert np.allclose([box.score for box in mine], wanted["scores"])
            places = [(box.x0, box.y0, box.x1, box.y1) for box in mine]
            assert np.allclose(places, wanted["boxes"], atol=1e-6)


def test_grounded_boxes_are_those_of_transformers() -> None:
    torch = pytest.importorskip("torch", reason=NEEDS)
    transformers = pytest.importorskip("transformers", reason=NEEDS)
    torch.manual_seed(8)
    pixels = photograph("coffee.jpg")
    height, width = pixels.shape[:2]
    logits = torch.randn(1, 40, 3) - 1
    boxes = torch.rand(1, 40, 4) * 0.2 + 0.2
    outputs = transformers.models.owlv2.modeling_owlv2.Owlv2ObjectDetectionOutput(
        logits=logits, pred_boxes=boxes
    )
    theirs = transformers.Owlv2ImageProcessorPil().post_process_object_detection(
        outputs, threshold=0.6, target_sizes=[(height, width)]
    )[0]
    corners = transformers.image_transforms.center_to_corners_format(boxes)[0].numpy()
    # Theirs keeps a patch's best label only; so does this.
    scores = logits[0].sigmoid().numpy()
    scores[scores < scores.max(1, keepdims=True)] = 0
    mine = found(corners * stretch(pixels), scores, ["a", "b", "c"], score=0.6, limit=40)
    order = theirs["scores"].argsort(descending=True)
    size = np.array([width, height, width, height])
    assert [box.label for box in mine] == ["abc"[i] for i in theirs["labels"][order]]
    assert len(mine) > 3
    places = np.array([(box.x0, box.y0, box.x1, box.y1) for box in mine]) * size
    wanted = theirs["boxes"][order].numpy().clip(0, size)
    assert np.allclose(places, wanted, atol=1e-2)


@pytest.mark.parametrize(("name", "length"), [("owlv2", 16), ("siglip2", 64)])
def test_texts_become_the_tokens_and_vectors_of_transformers(
    name: str, length: int, exported: Export
) -> None:
    folder, path = exported(name, f"{name}-text")
    import torch
    import transformers

    said = ["a photo of a cat", "a photo of a very long dog " * 9, "Cat", "a photo of a cat"]
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    theirs = tokenizer(
        said, padding="max_length", max_length=length, truncation=True, return_tensors="pt"
    )
    texts = Texts(Session(path), path, batch=2)
    assert (texts.tokens(said) == theirs["input_ids"].numpy()).all()
    model = transformers.AutoModel.from_pretrained(folder)
    if name == "owlv2":
        model = transformers.Owlv2ForObjectDetection.from_pretrained(folder).owlv2
        fed = dict(theirs)  # with the mask, which ours does without
    else:
        fed = {"input_ids": theirs["input_ids"]}
    with torch.no_grad():
        wanted = model.eval().get_text_features(**fed).pooler_output
    wanted = torch.nn.functional.normalize(wanted, dim=-1).numpy()
    mine = texts.embed(said)
    assert np.allclose(mine, wanted, atol=1e-4)
    assert not np.allclose(mine[0], mine[1], atol=1e-2)
    assert (mine == texts.embed(said)).all()


def test_tags_are_siglips(exported: Export) -> None:
    folder, image = exported("siglip2", "siglip2-image")
    text = exported("siglip2", "siglip2-text")[1]
    import torch
    import transformers

    from engines.full.tagger import PROMPT, ZeroShotTagger
    from engines.full.vocabulary import Vocabulary

    words = Vocabulary(("cat", "Dog", "tea"), ("animal",))
    card = Card.read(image)
    tagger = ZeroShotTagger(
        Session(image), card, Texts(Session(text), text), words, score=0.0, max_tags=2
    )
    pixels = [photograph(name) for name in PHOTOGRAPHS[:2]]
    model = transformers.SiglipModel.from_pretrained(folder).eval()
    processor = transformers.SiglipImageProcessorPil.from_pretrained(folder)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    said = [PROMPT.format(word.lower()) for word in (*words.tags, *words.kinds)]
    ids = tokenizer(said, padding="max_length", max_length=64, return_tensors="pt")["input_ids"]
    with torch.no_grad():
        shown = processor(pixels, return_tensors="pt")["pixel_values"]
        wanted = model(input_ids=ids, pixel_values=shown).logits_per_image.sigmoid().numpy()
    prepared = [tagger.prepare(each) for each in pixels]
    assert np.allclose(tagger.scores(prepared), wanted, atol=1e-4)
    tags = tagger.run(prepared)[0]
    assert [tag.label for tag in tags.kinds] == ["animal"]
    best = np.argsort(-wanted[0, :3])[:2]
    assert [tag.label for tag in tags.tags] == [words.tags[i] for i in best]


def test_a_tokenizer_that_is_missing_is_said(weights: Callable[[str], Path]) -> None:
    from engines.errors import EngineError
    from engines.export.tokenizer import bake

    with pytest.raises(EngineError, match="no tokenizer"):
        bake(weights("dinov2"), 16, weights("dinov2") / "none.json")
