"""What a run says of itself, for a person and as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from tests.autoscaling.loop import Sample
from tests.autoscaling.targets import Target
from tests.chaos.ledger import Verdict
from tests.chaos.supervisor import Exit


@dataclass(frozen=True, slots=True)
class Progress:
    """Beside a sample: members of each target's first group that hold partitions, URLs that have
    come to their end, and images that the device has done."""

    at: float
    members: dict[str, int]
    ended: int
    device: int


@dataclass(slots=True)
class Report:
    """One run. Times are seconds since the loop's start.

    Attributes:
        left: lag of each trigger at the end, by partition.
    """

    images: int
    device_seconds: float
    targets: Sequence[Target]
    samples: list[Sample]
    progress: list[Progress]
    burst_at: float
    drained_at: float
    verdict: Verdict
    exits: list[Exit]
    left: dict[str, list[int]]
    stuck: str | None

    @property
    def good(self) -> bool:
        return self.verdict.exact and self.stuck is None and not self.exits

    @property
    def drained(self) -> float:
        return self.drained_at - self.burst_at

    @property
    def most(self) -> dict[str, int]:
        """Workers asked for, at the most."""
        return {
            each.name: max(sample.asked[each.name] for sample in self.samples)
            for each in self.targets
        }

    @property
    def shrunk(self) -> float:
        """Seconds from drained until all were at their minimum."""
        least = {each.name: each.rules.minimum for each in self.targets}
        before = max((s.at for s in self.samples if s.asked != least), default=self.drained_at)
        return max(0.0, before - self.drained_at)

    def worker_seconds(self, target: str) -> float:
        """Of workers asked for, from the burst to the end."""
        pairs = zip(self.samples, self.samples[1:], strict=False)
        return sum(
            one.asked[target] * (two.at - one.at) for one, two in pairs if one.at >= self.burst_at
        )

    @property
    def alone(self) -> float:
        """Seconds that the device of one worker would take for the burst, at the least."""
        return self.verdict.captions * self.device_seconds

    def text(self) -> str:
        verdict = self.verdict
        span = self.samples[-1].at - self.burst_at
        most = ", ".join(f"{name} {number}" for name, number in self.most.items())
        saved = 1 - self.worker_seconds("device") / (self.most["device"] * span)
        lines = [
            f"URLs             {verdict.urls:,}: captions {verdict.captions:,}, "
            f"rejects {verdict.rejects.total():,}",
            f"drained after    {self.drained:.0f} s; one device alone: {self.alone:.0f} s",
            f"workers, most    {most}",
            f"at the minimum   {self.shrunk:.0f} s after that",
            f"device workers   {self.worker_seconds('device'):.0f} worker seconds, "
            f"{saved:.0%} fewer than the most all the time",
            f"lag left         {self._markers()}",
            f"lost             {verdict.lost}",
            f"twice            {verdict.duplicates}",
        ]
        if self.exits:
            lines.append(f"WORKERS ENDED BY THEMSELVES: {len(self.exits)}; the first:")
            lines += [f"  {self.exits[0].worker}: code {self.exits[0].code}", self.exits[0].said]
        for kind, found in sorted(verdict.wrong.items()):
            if found:
                lines += [f"WRONG: {kind}: {len(found)}", *(f"  {line}" for line in found[:5])]
        if self.stuck is not None:
            lines.append(f"STUCK: {self.stuck}")
        lines.append("ledger           " + ("exact" if self.verdict.exact else "NOT EXACT"))
        return "\n".join(lines)

    def _markers(self) -> str:
        sums = {name: sum(lags) for name, lags in self.left.items()}
        return ", ".join(f"{name} {total}" for name, total in sums.items())

    def json(self) -> str:
        return json.dumps(
            {
                "exact": self.good, "images": self.images, "urls": self.verdict.urls,
                "captions": self.verdict.captions, "rejects": dict(self.verdict.rejects),
                "lost": self.verdict.lost, "twice": self.verdict.duplicates, "stuck": self.stuck,
                "exits": [asdict(each) for each in self.exits],
                "burst_at": self.burst_at, "drained": self.drained, "shrunk": self.shrunk,
                "most": self.most, "left": self.left,
                "samples": [asdict(each) for each in self.samples],
                "progress": [asdict(each) for each in self.progress],
            },
            indent=1,
        )  # fmt: skip
