"""What a run says of itself, for a person and as JSON."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.chaos.ledger import Verdict
from tests.chaos.supervisor import Exit

_LINES = 5  # of each kind of fault in the ledger


@dataclass(slots=True)
class Report:
    """One run.

    Attributes:
        planned: URLs that were to be published; fewer were where the time was up.
        exits: workers that ended by themselves, or did not leave when they were sent away.
        folder: where the logs are.
    """

    seed: int
    planned: int
    faults: Counter[str]
    wanted_faults: int
    verdict: Verdict
    exits: list[Exit]
    starts: int
    seconds: float
    longest_stall: float
    longest_stall_at: float
    stuck: str | None
    folder: Path

    @property
    def good(self) -> bool:
        return self.verdict.exact and self.stuck is None

    def text(self) -> str:
        verdict = self.verdict
        lines = [
            f"seed             {self.seed}",
            f"faults           {self.faults.total()} of {self.wanted_faults}: "
            f"{_counted(self.faults)}",
            f"URLs             {verdict.urls:,}"
            + (f" of {self.planned:,}: the time was up" if verdict.urls < self.planned else ""),
            f"captions         {verdict.captions:,}",
            f"rejects          {verdict.rejects.total():,}: {_counted(verdict.rejects)}",
            f"duplicates       {verdict.duplicates}",
            f"lost             {verdict.lost}",
            f"longest stall    {self.longest_stall:.1f} s, "
            f"{self.longest_stall_at:.0f} s after the start",
            f"time             {self.seconds:.0f} s, {verdict.urls / self.seconds:.1f} images/s",
            f"workers started  {self.starts}; ended by themselves {len(self.exits)}",
        ]
        for each in self.exits:
            how = "did not leave" if each.code is None else f"code {each.code}"
            lines += [
                f"  {each.worker}: {how}",
                *(f"    {line}" for line in each.said.splitlines()),
            ]
        for kind, found in sorted(verdict.wrong.items()):
            if found:
                lines.append(f"WRONG: {kind}: {len(found)}")
                lines += [f"  {line}" for line in found[:_LINES]]
        if self.stuck is not None:
            lines.append(f"STUCK: {self.stuck}")
        lines.append("ledger           " + ("exact" if self.good else "NOT EXACT"))
        lines.append(f"logs             {self.folder}")
        return "\n".join(lines)

    def json(self) -> str:
        verdict = self.verdict
        return json.dumps(
            {
                "seed": self.seed,
                "exact": self.good,
                "urls": verdict.urls,
                "planned": self.planned,
                "faults": dict(self.faults),
                "captions": verdict.captions,
                "rejects": dict(verdict.rejects),
                "duplicates": verdict.duplicates,
                "lost": verdict.lost,
                "wrong": {kind: found for kind, found in verdict.wrong.items() if found},
                "stuck": self.stuck,
                "longest_stall": round(self.longest_stall, 1),
                "seconds": round(self.seconds, 1),
                "images_per_second": round(verdict.urls / self.seconds, 1),
                "workers_started": self.starts,
                "exits": [asdict(each) for each in self.exits],
                "folder": str(self.folder),
            },
            indent=2,
        )


def _counted(counts: Counter[str]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.most_common()) or "none"
