"""An expert of another package: one class, one schema, one entry point, nothing else changed."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests" / "engines"))
from chat_server import Answer, ScriptedChatServer, completion  # noqa: E402

PACKAGE = Path(__file__).parent / "colours_expert"

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package, installed into a folder of its own."""
    target = tmp_path_factory.mktemp("packages")
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation",
         "--target", target, PACKAGE],
        check=True, timeout=120,
    )  # fmt: skip
    return target


async def test_it_appears_in_prompt_and_dataset(
    installed: Path, cli: Any, helpers: Any, tmp_path: Path
) -> None:
    photographs = tmp_path / "photographs"
    photographs.mkdir()
    for name in ("cat.jpg", "coffee.jpg", "rocket.jpg"):
        shutil.copy(ROOT / "examples" / name, photographs / name)
    async with ScriptedChatServer(lambda asked: Answer(completion("A description."))) as server:
        process = cli(
            "run", photographs, "--json", "--out", tmp_path / "out",
            "--data-dir", tmp_path / "data",
            PYTHONPATH=str(installed),
            DENSEFUSION_EXPERTS__ROSTER="detection,tagging,ocr,knowledge,colours",
            DENSEFUSION_CAPTION__BASE_URL=server.url,
            DENSEFUSION_CAPTION__MODEL="scripted",
        )  # fmt: skip
        result = await asyncio.to_thread(helpers.finish, process)
    assert result["exit_code"] == 0 and result["captions"] == 3
    assert len(server.asked) == 3
    for asked in server.asked:
        block = asked.prompt.split("[Main Colours]\n")[1].split("\n[")[0]
        assert "%" in block
    for row in helpers.rows(tmp_path / "out" / "captions.jsonl"):
        assert row["caption"] == "A description." and row["saw_image"] is True
        assert row["missing_experts"] == []
        assert row["tokens_in"] == 1000 and row["tokens_out"] == 50
        colours = row["priors"]["colours"]["colours"]
        assert len(colours) == 3 and colours[0]["share"] > 0
