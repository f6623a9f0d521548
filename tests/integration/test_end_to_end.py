"""The main job: real photographs and a hostile web, through broker, experts and fusion."""

from __future__ import annotations

import asyncio
import json
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pandas
import polars
import pyarrow.parquet as pq
import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests" / "consumers" / "fetch"))
from hostile_server import HostileServer  # noqa: E402

pytestmark = [pytest.mark.integration, pytest.mark.timeout(400)]


@pytest.fixture(scope="module")
def hostile() -> Iterator[HostileServer]:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    server = HostileServer()
    asyncio.run_coroutine_threadsafe(server.start(), loop).result(10)
    yield server
    asyncio.run_coroutine_threadsafe(server.stop(), loop).result(10)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(10)


@pytest.fixture(scope="module")
def web(hostile: HostileServer) -> dict[str, str]:
    """URL -> expected reject reason; an empty one for those to be captioned."""
    expected = {hostile.url(path): reason for path, reason in hostile.rejected.items()}
    expected |= {hostile.url(path): "" for path in hostile.accepted}
    # JSON lines carry no lone control characters as they are, and rows are stripped.
    expected |= {url: reason for url, reason in hostile.elsewhere.items() if url.strip()}
    expected[hostile.url("/photo.jpg?the-same-again")] = "duplicate"
    return expected


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("out")


@pytest.fixture(scope="module")
def result(
    hostile: HostileServer, web: dict[str, str], cli: Any, helpers: Any, out: Path
) -> dict[str, Any]:
    listed = out / "web.jsonl"
    listed.write_text("".join(json.dumps({"url": url}) + "\n" for url in web), "utf-8")
    process = cli(
        "run", ROOT / "examples", listed, "--json", "--out", out / "dataset",
        "--allow-host", hostile.host, "--data-dir", out / "data",
    )  # fmt: skip
    found: dict[str, Any] = helpers.finish(process)
    return found


@pytest.fixture(scope="module")
def captions(result: dict[str, Any], helpers: Any, out: Path) -> dict[str, dict[str, Any]]:
    """Rows of the dataset by URL."""
    return {row["url"]: row for row in helpers.rows(out / "dataset" / "captions.jsonl")}


@pytest.fixture(scope="module")
def photographs(captions: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Rows of the examples by file name."""
    found = {url.rpartition("/")[2]: row for url, row in captions.items()}
    return {name: row for name, row in found.items() if (ROOT / "examples" / name).exists()}


def test_every_url_is_accounted_for(result: dict[str, Any], web: dict[str, str]) -> None:
    examples = len((ROOT / "examples" / "examples.jsonl").read_text().splitlines())
    assert result["exit_code"] == 0, result
    assert result["urls"] == examples + len(web)
    assert result["captions"] + result["rejects"] == result["urls"]
    assert result["dead_letters"] == 0


def test_each_bad_url_is_a_reject_with_its_own_reason(
    result: dict[str, Any], web: dict[str, str], helpers: Any, out: Path
) -> None:
    rejects = {row["url"]: row for row in helpers.rows(out / "dataset" / "rejects.jsonl")}
    expected = {
        url.strip(): reason for url, reason in web.items() if reason not in ("", "duplicate")
    }
    found = {url: row["reason"] for url, row in rejects.items() if row["reason"] != "duplicate"}
    assert {url[:8192]: reason for url, reason in expected.items()} == found


def test_a_duplicate_names_what_it_repeats(
    result: dict[str, Any],
    hostile: HostileServer,
    captions: dict[str, Any],
    helpers: Any,
    out: Path,
) -> None:
    rows = helpers.rows(out / "dataset" / "rejects.jsonl")
    same = {hostile.url("/photo.jpg"), hostile.url("/photo.jpg?the-same-again")}
    (duplicate,) = [row for row in rows if row["url"] in same]
    assert duplicate["reason"] == "duplicate"
    assert {duplicate["url"], duplicate["duplicate_of"]} == same
    assert duplicate["duplicate_of"] in captions


def test_captions_say_what_is_there(photographs: dict[str, dict[str, Any]]) -> None:
    assert len(photographs) >= 20
    said = {name: row["caption"] for name, row in photographs.items()}
    assert "cat" in said["cat.jpg"].lower()
    assert "cup" in said["coffee.jpg"].lower() or "espresso" in said["coffee.jpg"].lower()
    assert "OPEN" in said["sign_open.jpg"] and "24 HOURS" in said["sign_open.jpg"]
    assert "EXIT 12B" in said["sign_exit.jpg"] and "TOLL $3.50" in said["sign_exit.jpg"]
    assert "rocket" in said["rocket.jpg"].lower()
    for row in photographs.values():
        assert row["engine"] == "compose" and row["saw_image"] is False


def test_every_expert_answered(photographs: dict[str, dict[str, Any]]) -> None:
    for row in photographs.values():
        assert row["missing_experts"] == []
        assert set(row["priors"]) == {"detection", "tagging", "ocr", "knowledge"}
        assert all(prior["status"] == "ok" for prior in row["priors"].values())


def test_no_row_twice(
    captions: dict[str, Any], helpers: Any, result: dict[str, Any], out: Path
) -> None:
    rows = helpers.rows(out / "dataset" / "captions.jsonl")
    assert len({row["image_id"] for row in rows}) == len(rows) == result["captions"]


def test_readers_of_the_field_read_it(result: dict[str, Any], out: Path) -> None:
    file = str(out / "dataset" / "captions.parquet")
    count = result["captions"]
    assert pq.read_table(file).num_rows == count
    assert len(pandas.read_parquet(file)) == count
    boxes = polars.read_parquet(file)["priors"].struct.field("detection").struct.field("boxes")
    assert len(boxes) == count
    query = f"select count(*), sum(len(priors.detection.boxes)) from '{file}'"
    rows, total = duckdb.sql(query).fetchall()[0]
    assert rows == count and total == boxes.list.len().sum() > 0


def test_the_same_list_again_captions_nothing_twice(
    result: dict[str, Any], cli: Any, helpers: Any, out: Path
) -> None:
    again = helpers.finish(
        cli("run", ROOT / "examples", "--json", "--out", out / "again", "--data-dir", out / "data")
    )
    assert again["exit_code"] == 0
    assert again["captions"] == 0
    assert again["rejects_by_reason"] == {"duplicate": again["urls"]}
    rows = helpers.rows(out / "again" / "captions.jsonl")
    assert len(rows) == len({row["image_id"] for row in rows}) == result["captions"]
