"""What is stuck, and why, as far as it can be told from outside."""

from __future__ import annotations

from collections.abc import Iterator

from densefusion.status.reading import Reading
from densefusion.status.snapshot import Snapshot, Stage

_STILL_SECONDS = 15.0  # a batch of a slow model takes as long
_OLD_SECONDS = 60.0


def diagnose(found: Snapshot, reading: Reading | None) -> list[str]:
    """A sentence for each thing that does not move, or is not as it should be."""
    said = list(_still(found))
    for instance, why in found.workers_down.items():
        said.append(f"worker {instance} does not answer: {_short(why)}")
    if reading is None:
        return said
    oldest = reading.highest("densefusion_join_oldest_seconds").get((), 0.0)
    moves = any(each.committed_rate for each in found.stages if each.name == "fusion")
    if oldest > _OLD_SECONDS and not moves:
        behind = max(_experts(found), key=lambda each: each.waiting, default=None)
        of = f"; {behind.name} is furthest behind" if behind is not None and behind.waiting else ""
        said.append(f"fusion: an image has waited {oldest:.0f} s for its experts{of}")
    for labels in reading.labels("densefusion_engine_info"):
        wanted, runs = labels.get("requested", ""), labels.get("provider", "")
        if wanted and runs not in ("", "none", wanted):
            said.append(f"{labels.get('expert', '')} runs on {runs}, asked for was {wanted}")
    ready = reading.series.get("densefusion_worker_ready", {})
    for name in sorted({dict(each).get("stage", "") for each, value in ready.items() if not value}):
        said.append(f"{name}: a worker is up and not ready")
    letters = {each.name: each.dead_letters for each in found.stages if each.dead_letters}
    if letters:
        listed = ", ".join(f"{name} {number:,}" for name, number in letters.items())
        said.append(f"dead letters: {listed} (`densefusion replay dead-letters --dry-run`)")
    return said


def _still(found: Snapshot) -> Iterator[str]:
    for stage in found.stages:
        if not stage.waiting:
            continue
        if stage.workers == 0:
            yield f"{stage.name}: {stage.waiting:,} wait, and no worker of it is known"
        elif stage.still is not None and stage.still >= _STILL_SECONDS:
            yield f"{stage.name}: {stage.waiting:,} wait, nothing committed for {stage.still:.0f} s"
        elif stage.lag is not None and stage.lag >= _OLD_SECONDS and not stage.committed_rate:
            yield f"{stage.name}: {stage.waiting:,} wait, the oldest for {stage.lag:.0f} s"


def _experts(found: Snapshot) -> list[Stage]:
    return [s for s in found.stages if s.name not in ("fetch", "curate", "fusion", "dataset")]


def _short(text: str, most: int = 120) -> str:
    line = " ".join(text.split())
    return line if len(line) <= most else line[:most] + "…"
