"""Folders of small models with random weights, laid out as on a hub: what `engines.export` takes.

The classes are the real ones of `transformers`, built from their configurations; only sizes are
small. Tokenizers of real makes over a handful of letters come with those that read.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
import transformers

SIDE = 64
OWL_WIDTH = 24


def rt_detr_v2(folder: Path) -> Path:
    return _detr(folder, transformers.RTDetrV2Config, transformers.RTDetrV2ForObjectDetection)


def d_fine(folder: Path) -> Path:
    return _detr(folder, transformers.DFineConfig, transformers.DFineForObjectDetection)


def _detr(folder: Path, configuration: Any, architecture: Any) -> Path:
    backbone = transformers.RTDetrResNetConfig(
        embedding_size=16,
        hidden_sizes=[16, 24, 32, 40],
        depths=[1, 1, 1, 1],
        layer_type="basic",
        out_features=["stage2", "stage3", "stage4"],
    )
    config = configuration(
        backbone_config=backbone,
        encoder_in_channels=[24, 32, 40],
        encoder_hidden_dim=32,
        encoder_ffn_dim=48,
        encoder_attention_heads=4,
        d_model=32,
        num_queries=20,
        decoder_in_channels=[32, 32, 32],
        decoder_ffn_dim=48,
        decoder_layers=2,
        decoder_attention_heads=4,
        num_denoising=0,
        id2label={number: f"thing {number}" for number in range(5)},
        label2id={f"thing {number}": number for number in range(5)},
    )
    _save(folder, architecture, config)
    processor = transformers.RTDetrImageProcessorPil
    return _pictures(folder, processor, size={"height": SIDE, "width": SIDE})


def owlv2(folder: Path) -> Path:
    words = _clip_tokenizer(folder)
    config = transformers.Owlv2Config(
        text_config={
            "vocab_size": words,
            "hidden_size": OWL_WIDTH,
            "intermediate_size": 32,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "max_position_embeddings": 16,
            "bos_token_id": words - 2,
            "eos_token_id": words - 1,
            "pad_token_id": 0,
        },
        vision_config={
            "hidden_size": 32,
            "intermediate_size": 48,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "image_size": SIDE,
            "patch_size": 16,
        },
        projection_dim=OWL_WIDTH,
    )
    _save(folder, transformers.Owlv2ForObjectDetection, config)
    processor = transformers.Owlv2ImageProcessorPil
    return _pictures(folder, processor, size={"height": SIDE, "width": SIDE})


def siglip2(folder: Path) -> Path:
    words = _gemma_tokenizer(folder)
    shared = {
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
    }
    config = transformers.SiglipConfig(
        text_config=shared | {"vocab_size": words, "max_position_embeddings": 64},
        vision_config=shared | {"image_size": SIDE, "patch_size": 16},
    )
    _save(folder, transformers.SiglipModel, config)
    processor = transformers.SiglipImageProcessorPil
    return _pictures(folder, processor, size={"height": SIDE, "width": SIDE})


def dinov2(folder: Path) -> Path:
    config = transformers.Dinov2Config(
        hidden_size=32, num_hidden_layers=2, num_attention_heads=4, image_size=56, patch_size=14
    )
    _save(folder, transformers.Dinov2Model, config)
    return _pictures(
        folder,
        transformers.BitImageProcessorPil,
        size={"shortest_edge": SIDE},
        crop_size={"height": 56, "width": 56},
        image_mean=[0.485, 0.456, 0.406],
        image_std=[0.229, 0.224, 0.225],
    )


BUILDERS: Mapping[str, Callable[[Path], Path]] = {
    "rt-detr-v2": rt_detr_v2,
    "d-fine": d_fine,
    "owlv2": owlv2,
    "siglip2": siglip2,
    "dinov2": dinov2,
}


def _save(folder: Path, architecture: Any, config: Any) -> None:
    torch.manual_seed(20)
    model = architecture(config)
    with torch.no_grad():
        for parameter in model.parameters():
            # As made, most outputs are the biases' alone: nothing that an export could get wrong.
            if parameter.ndim > 1:
                parameter.normal_(std=1.5 / parameter[0].numel() ** 0.5)
            else:
                parameter.add_(torch.randn_like(parameter) * 0.1)
    model.save_pretrained(folder)


def _pictures(folder: Path, processor: Any, **settings: Any) -> Path:
    """The processor's file; its defaults are the published models' settings."""
    processor(**settings).save_pretrained(folder)
    return folder


def _clip_tokenizer(folder: Path) -> int:
    """Byte-level BPE with CLIP's end-of-word marks, and few merges; the number of its tokens."""
    letters = [chr(code) for code in range(33, 127)] + [chr(code) for code in range(0xA1, 0x144)]
    merges = ["a t</w>", "c at</w>", "o f</w>", "p h", "ph o"]
    whole = [pair.replace(" ", "") for pair in merges]
    marks = ["<|startoftext|>", "<|endoftext|>"]
    tokens = ["!", *letters[1:], *(f"{letter}</w>" for letter in letters), *whole, *marks]
    folder.mkdir(parents=True, exist_ok=True)
    vocabulary = {token: number for number, token in enumerate(dict.fromkeys(tokens))}
    (folder / "vocab.json").write_text(json.dumps(vocabulary))
    (folder / "merges.txt").write_text("\n".join(["#version: 0.2", *merges]))
    settings = {"tokenizer_class": "CLIPTokenizer", "model_max_length": 16, "pad_token": "!"}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    return len(vocabulary)


def _gemma_tokenizer(folder: Path) -> int:
    specials = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>"]
    bytes_ = [f"<0x{byte:02X}>" for byte in range(256)]
    letters = ["▁", *(chr(code) for code in range(97, 123))]
    vocabulary = {
        token: number for number, token in enumerate([*specials, *bytes_, *letters, "ca", "cat"])
    }
    tokenizer = transformers.Siglip2Tokenizer(vocab=vocabulary, merges=[("c", "a"), ("ca", "t")])
    tokenizer.save_pretrained(folder)
    return len(vocabulary)
