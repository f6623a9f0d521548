"""`densefusion engines`, as a user runs it: what it prints, and how it exits."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from engines.catalogue import catalogue, locate
from tests.densefusion.s3_server import S3Server
from tests.engines.range_server import RangeServer

ROOT = Path(__file__).parent.parent.parent
TAGGER = locate(catalogue()["efficientnet-lite0"]).read_bytes()


@pytest.fixture
def hub() -> Iterator[RangeServer]:
    with RangeServer() as server:
        yield server


@pytest.fixture
def folder(tmp_path: Path, hub: RangeServer) -> Path:
    """With a catalogue of one model, on the hub."""
    hub.files["/org/tagger/resolve/v1.0.0/tagger.onnx"] = TAGGER
    (tmp_path / "own.toml").write_text(f'''
[own-tagger]
task = "tagging"
version = "v1.0.0"
licence = "Apache-2.0"
sha256 = "{hashlib.sha256(TAGGER).hexdigest()}"
inputs.image = "uint8[n, 224, 224, 3]"
outputs.logits = "float32[n, 1000]"
outputs.embedding = "float32[n, 1280]"
axes.n = [1, 2, 4]
prepare = "crop-and-whole-224"
finish = "imagenet-two-views"
source.hub = "org/tagger"
source.revision = "v1.0.0"
source.endpoint = "{hub.endpoint}"
source.files."tagger.onnx" = "{hashlib.sha256(TAGGER).hexdigest()}"
''')
    return tmp_path


def engines(folder: Path, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "XDG_CACHE_HOME": str(folder / "cache"),
        "DENSEFUSION_EXPERTS__CATALOGUE": str(folder / "own.toml"),
        "DENSEFUSION_EXPERTS__MODELS": str(folder / "models"),
        "DENSEFUSION_EXPERTS__ENGINES": str(folder / "engines"),
        **settings,
    }
    return subprocess.run(
        [sys.executable, "-m", "densefusion", "engines", *arguments],
        cwd=folder, env=environment, capture_output=True, text=True, timeout=240, check=False,
    )  # fmt: skip


def test_from_the_hub_to_an_engine(folder: Path) -> None:
    one = ("--model", "own-tagger")
    listed = {row["model"]: row for row in json.loads(engines(folder, "list", "--json").stdout)}
    assert listed["own-tagger"]["here"] == "no"
    assert listed["efficientnet-lite0"]["here"] == "yes"

    missing = engines(folder, "verify", *one)
    assert missing.returncode == 1
    assert "densefusion engines pull --model own-tagger" in missing.stderr

    pulled = engines(folder, "pull", *one, "--json")
    assert pulled.returncode == 0, pulled.stderr
    (file,) = json.loads(pulled.stdout)[0]["files"]
    assert Path(file).is_relative_to(folder / "models")
    assert engines(folder, "verify", *one).returncode == 0

    built = engines(folder, "build", *one, "--json")
    assert built.returncode == 0, built.stderr
    (row,) = json.loads(built.stdout)
    assert (row["provider"], row["precision"], row["path"]) == ("cpu", "fp32", file)

    Path(file).write_bytes(b"spoilt")
    spoilt = engines(folder, "verify", *one)
    assert spoilt.returncode == 1
    assert "SHA-256" in spoilt.stderr


def test_one_that_fails_keeps_none_back(folder: Path, hub: RangeServer) -> None:
    hub.files.clear()
    done = engines(folder, "pull", "--profile", "starter", "--model", "own-tagger", "--json")
    rows = json.loads(done.stdout)
    assert done.returncode == 1
    assert [row["ok"] for row in rows] == [True] * 5 + [False]
    assert "HTTP 404" in rows[-1]["error"]


def test_a_provider_that_is_not_here_is_an_error(folder: Path) -> None:
    done = engines(folder, "build", "--model", "efficientnet-lite0", "--provider", "tensorrt")
    assert done.returncode == 1
    assert "lacks TensorrtExecutionProvider" in done.stderr
    one = ("--model", "efficientnet-lite0", "--provider", "tensorrt-direct")
    direct = engines(folder, "build", *one)
    assert direct.returncode == 1
    assert "tensorrt-direct was asked for, and is not to be had: " in direct.stderr
    assert "no NVIDIA driver" in direct.stderr


def test_nothing_is_converted_for_a_provider_that_is_not_here(folder: Path) -> None:
    one = ("--model", "efficientnet-lite0", "--provider", "tensorrt", "--precision", "fp16")
    done = engines(folder, "build", *one)
    assert done.returncode == 1
    assert "lacks TensorrtExecutionProvider" in done.stderr
    assert not list(folder.rglob("*fp16*"))


def test_what_was_made_is_shared_and_taken(folder: Path) -> None:
    """One machine makes FP16, another finds it in the object store, and converts nothing."""
    fp16 = ("build", "--model", "own-tagger", "--precision", "fp16", "--share", "--json")
    assert engines(folder, "pull", "--model", "own-tagger").returncode == 0
    with S3Server() as store:
        settings = {
            "DENSEFUSION_KAFKA__BOOTSTRAP": "127.0.0.1:1",
            "DENSEFUSION_STORE__ENDPOINT": store.endpoint,
            "DENSEFUSION_STORE__ACCESS_KEY": "a",
            "DENSEFUSION_STORE__SECRET_KEY": "s",
        }
        first = engines(folder, *fp16, "--images", str(ROOT / "examples"), **settings)
        assert first.returncode == 0, first.stderr
        (row,) = json.loads(first.stdout)
        assert row["shared"] == ["fp16.json", "fp16.onnx"]
        assert row["agreement"] > 0.9
        shutil.rmtree(folder / "models" / "own-tagger")
        second = engines(folder, *fp16, **settings)
    assert second.returncode == 0, second.stderr
    (row,) = json.loads(second.stdout)
    assert row["path"].endswith("fp16.onnx") and "agreement" not in row


def test_what_is_asked_wrongly(folder: Path) -> None:
    unknown = engines(folder, "verify", "--model", "no-such")
    assert unknown.returncode == 2
    assert "no model no-such; there are" in unknown.stderr
    (folder / "own.toml").write_text("[")
    broken = engines(folder, "list")
    assert broken.returncode == 2
    assert "own.toml" in broken.stderr
    assert "Traceback" not in broken.stderr


def test_verify_looks_into_the_cache(folder: Path) -> None:
    place = folder / "engines" / "tagger-tensorrt-fp16" / "0123"
    place.mkdir(parents=True)
    done = engines(folder, "verify", "--model", "efficientnet-lite0")
    assert done.returncode == 1
    assert "tagger-tensorrt-fp16: broken entry 0123" in done.stderr


def test_benchmarks(folder: Path) -> None:
    done = engines(
        folder, "bench", "--model", "efficientnet-lite0", "--batch", "1", "--batch", "2",
        "--seconds", "0.05", "--images", str(ROOT / "examples"), "--json",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout)
    assert [row["batch"] for row in rows] == [1, 2]
    assert all(row["ms"] > 0 and row["per_second"] > 0 for row in rows)
    nothing = engines(folder, "bench", "--images", str(folder / "nowhere"))
    assert nothing.returncode == 2
    assert "no photographs" in nothing.stderr
