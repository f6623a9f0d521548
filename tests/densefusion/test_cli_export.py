"""From PyTorch weights on a hub to an engine, by the command line: pull, export, verify, build."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.densefusion.test_cli_engines import engines
from tests.engines.range_server import RangeServer

pytest.importorskip("torch", reason="exporting needs torch and transformers")
pytest.importorskip("transformers", reason="exporting needs torch and transformers")

ENTRY = """
[seer]
task = "embedding"
version = "v1.0.0"
licence = "Apache-2.0"
inputs.image = "uint8[n, {side}, {side}, 3]"
outputs.embedding = "float32[n, {width}]"
axes.n = [1, 2, 4]
prepare = "whole"
finish = "as-is"
export = "dinov2"
source.hub = "org/seer"
source.revision = "v1.0.0"
source.endpoint = "{endpoint}"
"""


def test_from_weights_to_an_engine(tmp_path: Path) -> None:
    from tests.full import random_weights

    weights = random_weights.dinov2(tmp_path / "weights")
    config = json.loads((weights / "config.json").read_text())
    crop = json.loads((weights / "preprocessor_config.json").read_text())["crop_size"]
    with RangeServer() as hub:
        text = ENTRY.format(side=crop["height"], width=config["hidden_size"], endpoint=hub.endpoint)
        for path in weights.iterdir():
            hub.files[f"/org/seer/resolve/v1.0.0/{path.name}"] = path.read_bytes()
            text += f'source.files."{path.name}" = ""\n'
        (tmp_path / "own.toml").write_text(text)
        early = engines(tmp_path, "export", "--model", "seer")
        assert early.returncode == 1
        assert "engines pull --model seer` first" in early.stderr
        for command in ("pull", "export", "verify", "build"):
            done = engines(tmp_path, command, "--model", "seer", "--json")
            assert done.returncode == 0, done.stdout + done.stderr
    (row,) = json.loads(done.stdout)
    assert row["path"] == str(tmp_path / "models" / "seer" / "v1.0.0" / "model.onnx")
    again = json.loads(engines(tmp_path, "export", "--model", "seer", "--json").stdout)
    assert again[0]["note"] == "is there"
