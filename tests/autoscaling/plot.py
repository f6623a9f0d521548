"""The run as a picture: lag, workers and throughput over time."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
import numpy as np

from tests.autoscaling.report import Report
from tests.autoscaling.targets import Target

mpl.use("Agg")
import matplotlib.pyplot as plt

_SPAN = 10.0  # seconds that a rate is taken over
_BEFORE = 20.0  # that are shown of the time before the burst
_COLOURS = {
    "fetch": "#0072b2", "experts": "#cc79a7", "device": "#d55e00", "fusion": "#009e73",
    "dataset": "#7f7f7f",
}  # fmt: skip


def _label(target: Target) -> str:
    return " + ".join(target.stages)


def draw(report: Report, file: Path) -> None:
    """Write a PNG. Zero is the burst."""
    at = np.array([sample.at for sample in report.samples]) - report.burst_at
    figure, (lag, workers, rate) = plt.subplots(
        3, 1, sharex=True, figsize=(9, 8), height_ratios=(3, 3, 2), layout="constrained"
    )
    for target in report.targets:
        colour, name = _COLOURS[target.name], target.name
        lag.plot(at, [s.lags[name] for s in report.samples], color=colour, label=_label(target))
        asked = [s.asked[name] for s in report.samples]
        workers.step(at, asked, where="post", color=colour, linewidth=2)
    seen_at = np.array([each.at for each in report.progress]) - report.burst_at
    workers.plot(
        seen_at, [each.members["device"] for each in report.progress], ".", markersize=3,
        color="black", label="device: holds partitions",
    )  # fmt: skip
    for name, colour, label in (
        ("device", _COLOURS["device"], "device"), ("ended", "black", "captions and rejects"),
    ):  # fmt: skip
        counts = np.array([getattr(each, name) for each in report.progress], float)
        before = np.interp(seen_at - _SPAN, seen_at, counts)
        rate.plot(seen_at, (counts - before) / _SPAN, color=colour, label=label)
    lag.set_ylabel("lag, records")
    workers.set_ylabel("workers")
    rate.set_ylabel(f"images/s, over {_SPAN:.0f} s")
    rate.set_xlabel("seconds after the burst")
    lag.set_title(
        f"A burst of {report.images:,} images: drained after {report.drained:.0f} s, "
        f"back at the minimum {report.shrunk:.0f} s later"
    )
    for panel in (lag, workers, rate):
        panel.axvline(report.drained, color="0.6", linestyle=":", linewidth=1)
        panel.set_ylim(bottom=0)
        panel.set_xlim(left=max(at[0], -_BEFORE))
        panel.grid(alpha=0.25)
        panel.spines[["top", "right"]].set_visible(False)
    lag.annotate("drained", (report.drained, lag.get_ylim()[1] * 0.92), xytext=(4, 0),
                 textcoords="offset points", color="0.4", fontsize=9)  # fmt: skip
    lag.legend(framealpha=1, edgecolor="none")
    workers.legend(frameon=False)
    rate.legend(frameon=False)
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, dpi=110)
    plt.close(figure)
