"""One URL, one trace: from the list through every stage into the dataset."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests" / "integration"))
from otlp_receiver import OtlpReceiver, Received, tree  # noqa: E402

pytestmark = [pytest.mark.integration, pytest.mark.timeout(200)]
EXPERTS = ("detection", "tagging", "ocr", "knowledge")


@pytest.fixture(scope="module")
def traces(
    tmp_path_factory: pytest.TempPathFactory, cli: Any, helpers: Any
) -> dict[str, list[Received]]:
    """The spans of a photograph and of a picture that is too small, by trace."""
    folder = tmp_path_factory.mktemp("traced")
    pictures = folder / "pictures"
    pictures.mkdir()
    shutil.copy(ROOT / "examples" / "cat.jpg", pictures)
    Image.new("RGB", (10, 10)).save(pictures / "tiny.png")
    with OtlpReceiver() as receiver:
        variables = {
            "DENSEFUSION_TRACING__ENABLED": "true",
            "DENSEFUSION_TRACING__RATIO": "1",
            "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.endpoint,
        }
        process = cli("run", pictures, "--json", "--data-dir", folder / "data", **variables)
        result = helpers.finish(process)
        assert (result["captions"], result["rejects"]) == (1, 1), result
    found: dict[str, list[Received]] = {}
    for span in receiver.spans:
        found.setdefault(span.trace, []).append(span)
    return found


def of(traces: dict[str, list[Received]], topic: str) -> list[Received]:
    """The trace that ends on a topic."""
    (found,) = [t for t in traces.values() if any(s.name == f"send {topic}" for s in t)]
    return found


def test_each_url_is_one_trace(traces: dict[str, list[Received]]) -> None:
    assert len(traces) == 2
    for spans in traces.values():
        print("\n" + tree(spans))
        known = {span.id for span in spans}
        (root,) = [span for span in spans if not span.parent]
        assert (root.name, root.service) == ("send urls", "densefusion-produce")
        assert all(span.parent in known for span in spans if span is not root)


def test_a_photograph_passes_every_stage(traces: dict[str, list[Received]]) -> None:
    spans = of(traces, "captions")
    by_id = {span.id: span for span in spans}

    def one(name: str, stage: str) -> Received:
        (found,) = [s for s in spans if s.name == name and s.service == f"densefusion-{stage}"]
        return found

    def under(span: Received) -> set[str]:
        return {each.name for each in spans if each.parent == span.id}

    fetch = one("process urls", "fetch")
    assert under(fetch) == {"GET", "inspect", "S3 put", "send fetched"}
    curate = one("process fetched", "curate")
    assert by_id[curate.parent] is one("send fetched", "fetch")
    assert under(curate) == {"S3 put_if", "send images"}
    images = one("send images", "curate")
    priors = {}
    for expert in EXPERTS:
        process = one("process images", expert)
        assert by_id[process.parent] is images
        assert process.attributes["messaging.consumer.group.name"] == expert
        priors[expert] = one(f"send priors.{expert}", expert)
        assert priors[expert].parent == process.id
        assert "find" in under(process)
    fusion = one("process images", "fusion")
    assert by_id[fusion.parent] is images
    assert set(fusion.links) == {prior.id for prior in priors.values()}
    assert under(fusion) == {"caption", "send captions"}
    dataset = one("process captions", "dataset")
    assert by_id[dataset.parent] is one("send captions", "fusion")


def test_a_reject_goes_into_the_dataset_on_its_trace(traces: dict[str, list[Received]]) -> None:
    spans = of(traces, "rejects")
    (fetch,) = [span for span in spans if span.name == "process urls"]
    assert fetch.attributes["densefusion.reject.reason"] == "too-small"
    assert [s.service for s in spans if s.name == "process rejects"] == ["densefusion-dataset"]
