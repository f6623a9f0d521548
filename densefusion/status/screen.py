"""A snapshot on a terminal."""

from __future__ import annotations

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from densefusion.status.snapshot import Snapshot, Stage

_REASONS = 8  # lines; the rest is one more
_BAR = 16  # characters
_BARS = ""  # the column of bars has no title
_NEEDS = {_BARS: 105, "out/s": 86}  # columns of the terminal


def screen(found: Snapshot, width: int = 120) -> RenderableType:
    """Everything, for a terminal of so many columns; 80 hold all that matters."""
    parts: list[RenderableType] = [_head(found), Text(), _stages(found, width), Text()]
    if found.rejects or found.missing:
        parts += [_below(found), Text()]
    if found.metrics is None:
        parts.append(
            Text("no metrics: rates are those of commits; ages and rejects are not known", "dim")
        )
    parts += [_line("stuck", each, "bold red") for each in found.stuck]
    if not found.stuck:
        parts.append(_line("stuck", "nothing", "green"))
    return Group(*parts)


def _head(found: Snapshot) -> Text:
    text = Text.assemble(
        ("densefusion", "bold"), "   ", found.bootstrap, "   ", (found.time[11:19] + " UTC", "dim")
    )
    text.append("   ")
    if not found.waiting:
        text.append("nothing waits", "green")
    elif found.eta is None:
        text.append(f"{found.waiting:,} to go", "bold")
        text.append(", and no telling when", "red")
    else:
        text.append(f"{found.waiting:,} to go, drained in {duration(found.eta)}", "bold")
        if found.bottleneck is not None:
            text.append(f" ({found.bottleneck} sets the pace)", "dim")
    return text


def _stages(found: Snapshot, width: int) -> Table:
    most = max((each.waiting for each in found.stages), default=0)
    rows = [_row(each, most) for each in found.stages]
    names = [name for name in rows[0] if width >= _NEEDS.get(name, 0)] if rows else []
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1))
    for name in names:
        left = name in ("stage", _BARS)
        table.add_column(name, justify="left" if left else "right", no_wrap=True)
    for row in rows:
        table.add_row(*(row[name] for name in names))
    return table


def _row(stage: Stage, most: int) -> dict[str, RenderableType]:
    still = stage.waiting and not (stage.committed_rate or stage.rate_in)
    colour = "red" if still else "yellow" if stage.waiting else "green"
    workers = "?" if stage.workers is None else str(stage.workers)
    rate = stage.rate_in if stage.rate_in is not None else stage.committed_rate
    filled = round(_BAR * stage.waiting / most) if most else 0
    unknown = "?" if stage.waiting else ""
    eta = "-" if stage.eta == 0 else unknown if stage.eta is None else short(stage.eta)
    return {
        "stage": Text(stage.name, "bold"),
        "workers": Text(workers, "red" if stage.workers == 0 else ""),
        "waiting": Text(f"{stage.waiting:,}", colour if stage.waiting else "dim"),
        _BARS: Text(("━" * max(filled, 1 if stage.waiting else 0)).ljust(_BAR), colour),
        "in/s": _rate(rate),
        "out/s": _rate(stage.rate_out) if stage.name != "dataset" else Text(),
        "age p50": _age(stage.age_p50),
        "p95": _age(stage.age_p95),
        "rejected": Text(f"{stage.rejects:,}" if stage.rejects else "", "yellow"),
        "eta": Text(eta, "red" if still else "dim" if stage.eta == 0 else ""),
    }


def _below(found: Snapshot) -> Table:
    grid = Table.grid(padding=(0, 4))
    columns: list[RenderableType] = []
    if found.rejects:
        columns.append(_counted("rejects, by reason", _reasons(found)))
    if found.missing:
        columns.append(_counted("captions without", list(found.missing.items())))
    grid.add_row(*columns)
    return grid


def _reasons(found: Snapshot) -> list[tuple[str, int]]:
    several = len({stage for stage, _ in found.rejects}) > 1
    rows = [
        (f"{reason} ({stage})" if several else reason, number)
        for (stage, reason), number in found.rejects.items()
    ]
    rows.sort(key=lambda row: -row[1])
    rest = sum(number for _, number in rows[_REASONS:])
    return rows[:_REASONS] + ([(f"{len(rows) - _REASONS} more", rest)] if rest else [])


def _counted(title: str, rows: list[tuple[str, int]]) -> RenderableType:
    table = Table.grid(padding=(0, 2))
    table.add_column()
    table.add_column(justify="right")
    for name, number in rows:
        table.add_row(name, f"{number:,}")
    return Group(Text(title, "bold"), table)


def _line(label: str, text: str, style: str) -> Text:
    return Text.assemble((f"{label}  ", "dim"), (text, style))


def _rate(rate: float | None) -> Text:
    if rate is None:
        return Text("")
    return Text(f"{rate:,.1f}" if rate < 100 else f"{rate:,.0f}", "" if rate else "dim")


def _age(seconds: float | None) -> Text:
    return Text("" if seconds is None else short(seconds))


def short(seconds: float) -> str:
    """As `duration`, for a table: ``0.4s``, ``3m20s``, ``5h12m``."""
    return duration(seconds).replace(" min", "m").replace(" ", "")


def duration(seconds: float) -> str:
    """``0.4 s``, ``12 s``, ``3 min 20 s``, ``5 h 12 min``, ``3 d 4 h``, ``over 100 d``."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole >= 100 * 86_400:
        return "over 100 d"
    units = [(86_400, "d"), (3600, "h"), (60, "min"), (1, "s")]
    number = next(n for n, (size, _) in enumerate(units) if whole >= size)
    parts = []
    for size, unit in units[number : number + 2]:
        count, whole = divmod(whole, size)
        if count:
            parts.append(f"{count} {unit}")
    return " ".join(parts)
