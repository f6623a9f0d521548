from __future__ import annotations

from pathlib import Path

from densefusion.cli.metrics import as_markdown, table
from densefusion.metrics import families

PAGE = Path(__file__).parents[2] / "docs" / "metrics.md"


def test_the_page_is_of_these_metrics() -> None:
    assert PAGE.read_text("utf-8") == as_markdown(table()), (
        "run: densefusion metrics --markdown > docs/metrics.md"
    )


def test_every_metric_has_the_prefix_and_a_sentence() -> None:
    for name, (family, _) in families().items():
        assert name.startswith("densefusion_")
        assert family.documentation.endswith("."), name


def test_no_label_can_take_what_comes_from_the_web() -> None:
    known = {
        "stage", "topic", "reason", "step", "partition", "outcome", "expert", "model", "requested",
        "provider", "precision", "gpu", "host_class", "status", "engine", "direction", "operation",
        "kind", "version", "python", "librdkafka",
    }  # fmt: skip
    assert {label for _, labels in families().values() for label in labels} <= known
