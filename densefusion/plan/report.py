"""A plan for a person, and as JSON."""

from __future__ import annotations

import io
import json
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.table import Table

from densefusion.plan import survey_report
from densefusion.plan.check import Check
from densefusion.plan.costs import load as package
from densefusion.plan.measured import Survey
from densefusion.plan.outcome import Outcome
from densefusion.plan.sizing import Plan
from densefusion.plan.survey_report import WIDTH, hanging

_CARRIED = (
    "rates on another GPU than the one published for are scaled by the smaller ratio of the two "
    "GPUs' dense FP16 tensor throughput and memory bandwidth (NVIDIA's data sheets)"
)


def as_text(plan: Plan, check: Check | None, survey: Survey | None = None) -> str:
    """Tables and lines, 98 columns wide; before them, what a survey measured."""
    out = io.StringIO()
    console = Console(file=out, width=WIDTH, highlight=False, markup=False, emoji=False)
    request = plan.request
    if survey is not None:
        survey_report.show(console, survey, package().figures)
    console.print(
        f"{request.images_per_day:,.0f} images a day: {_rate(request.mean)}/s on average, "
        f"{_rate(request.peak)}/s at the peak (x {request.peak_factor:g}), "
        f"workers {request.utilisation:.0%} busy\n"
    )
    console.print(_stages(plan))
    console.print()
    console.print(_parts(plan))
    _settings(console, plan)
    _assumptions(console, plan)
    if check is not None:
        _simulation(console, plan, check)
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines())


def _stages(plan: Plan) -> Table:
    table = Table("stage", box=None, pad_edge=False, collapse_padding=True)
    for name in (
        "workers",
        "idle",
        "cores",
        "GPUs",
        "memory",
        "each does",
        "limit",
        "lagThreshold",
    ):
        table.add_column(name, justify="left" if name == "limit" else "right")
    for each in plan.stages:
        table.add_row(
            each.model.stage, f"{each.workers:,}", f"{each.idle:,}", f"{each.cores:,}",
            f"{each.gpus:,}" if each.gpus else "", f"{each.memory_gb:,.1f} GB",
            f"{_rate(each.model.rate)}/s", each.model.limit, f"{each.lag_threshold:,}",
        )  # fmt: skip
    if plan.captions is not None:
        tokens = f"{plan.captions.tokens_s:,.0f} tokens/s"
        table.add_row("caption server", "", "", "", f"{plan.captions.gpus:,}", "", "", tokens)
    table.add_section()
    table.add_row(
        "together", f"{sum(each.workers for each in plan.stages):,}",
        f"{sum(each.idle for each in plan.stages):,}", f"{plan.cores:,}",
        f"{plan.gpus:,}" if plan.gpus else "", f"{plan.memory_gb:,.1f} GB",
    )  # fmt: skip
    return table


def _parts(plan: Plan) -> Table:
    stored, request = plan.storage, plan.request
    table = Table(box=None, show_header=False, pad_edge=False)
    most = plan.partitions
    table.add_row(
        "partitions", f"{plan.partitions:,} of each topic: up to {most:,} workers of a stage"
    )
    table.add_row(
        "Kafka",
        f"{stored.brokers} brokers ({stored.broker_limit}), {_cores(stored.broker_cores)}; "
        f"{stored.kafka_gb_day:,.1f} GB a day, kept {stored.retention_days:g} days three times: "
        f"{_size(stored.kafka_disk_gb)}; {stored.kafka_mb_s:,.1f} MB/s in; "
        f"{stored.replicas:,} replicas",
    )
    table.add_row(
        "object store",
        f"{stored.objects_day:,.0f} objects and {_size(stored.stored_gb_day)} more a day "
        f"({_size(stored.stored_gb_day * 365)} a year); {stored.puts_s:,.0f} puts/s, "
        f"{stored.gets_s:,.0f} gets/s, {_cores(stored.store_cores)}",
    )
    table.add_row(
        "network",
        f"from the web {_bits(stored.web_mb_s)}; into the store {_bits(stored.store_in_mb_s)}, "
        f"out of it {_bits(stored.store_out_mb_s)}; Kafka {_bits(stored.kafka_mb_s)}",
    )
    asked, full = plan.days_to_a_billion
    table.add_row(
        "a billion images", f"in {_days(asked)}; with every worker busy all day in {_days(full)}"
    )
    if plan.dollars_a_day is not None:
        each = 1e6 * plan.dollars_a_day / request.images_per_day
        table.add_row(
            "cost", f"${plan.dollars_a_day:,.2f} a day at the size of the peak all day; "
            f"${each:,.2f} for a million images",
        )  # fmt: skip
    return table


def _settings(console: Console, plan: Plan) -> None:
    console.print("\nset for it")
    console.print(f"  densefusion topics create --partitions {plan.partitions} --replication 3")
    for each in plan.stages:
        if each.model.setting is not None:
            name, value = each.model.setting
            console.print(f"  {each.model.stage}: {name}={value}")
    console.print(
        hanging(
            f"KEDA: lagThreshold as above, minReplicaCount: idle, maxReplicaCount: workers, "
            f"activationLagThreshold {plan.partitions}, offsetResetPolicy earliest; fusion on the "
            "smallest of its topics' lags"
        )
    )


def _assumptions(console: Console, plan: Plan) -> None:
    console.print("\nnot measured on this project, but assumed, published by others, or given")
    found: dict[tuple[str, str], dict[tuple[str, float], list[str]]] = {}
    for name, figure in plan.assumptions.items():
        owner, _, what = name.removeprefix("stages.").partition(".")
        same = found.setdefault((figure.kind, figure.source), {})
        same.setdefault((what, figure.value), []).append(owner)
    if plan.request.gpu is not None:
        found["published", _CARRIED] = {}
    for (kind, source), figures in sorted(found.items(), key=lambda each: each[0]):
        listed = "; ".join(
            f"{', '.join(owners)}: {what} {value:g}" for (what, value), owners in figures.items()
        )
        console.print(hanging(f"{kind}: {source}" + (f" [{listed}]" if listed else "")))
    console.print(f"{len(plan.measured)} further figures were measured; --json names their sources")


def _simulation(console: Console, plan: Plan, check: Check) -> None:
    console.print(f"\nsimulated in steps of {check.fixed.step:g} s: "
                  f"{check.fixed.arrived:,.0f} images")  # fmt: skip
    table = Table("", box=None, pad_edge=False)
    for name in ("drained after", "age p50", "p95", "p99", "most waiting", "worker hours"):
        table.add_column(name, justify="right")
    for name, outcome in (("all workers, always", check.fixed), ("autoscaled", check.scaled)):
        table.add_row(
            name, "never" if outcome.drained is None else f"{outcome.drained:,.0f} s",
            *(f"{age:,.0f} s" for age in (outcome.age_p50, outcome.age_p95, outcome.age_p99)),
            f"{max(each.max_lag for each in outcome.stages):,.0f}",
            f"{sum(each.worker_hours for each in outcome.stages):,.0f}",
        )  # fmt: skip
    console.print(table)
    console.print()
    console.print(_utilisation(check))
    verdict = check.failures
    for line in verdict:
        console.print(f"FAILS: {line}")
    if not verdict:
        console.print(f"the plan holds: 99 of 100 images within {plan.request.max_age:,.0f} s")


def _utilisation(check: Check) -> Table:
    table = Table("stage", box=None, pad_edge=False)
    for name in (
        "busy",
        "at the peak",
        "most waiting",
        "workers",
        "busy",
        "most waiting",
        "failed",
    ):
        table.add_column(name, justify="right")
    for fixed, scaled in zip(check.fixed.stages, check.scaled.stages, strict=True):
        table.add_row(
            fixed.name, f"{fixed.utilisation:.0%}", f"{fixed.peak_utilisation:.0%}",
            f"{fixed.max_lag:,.0f}", f"{scaled.workers[1]:,} to {scaled.workers[0]:,}",
            f"{scaled.utilisation:.0%}", f"{scaled.max_lag:,.0f}",
            f"{fixed.failures:,} + {scaled.failures:,}",
        )  # fmt: skip
    return table


def as_json(plan: Plan, check: Check | None, survey: Survey | None = None) -> str:
    """Everything, with each figure's source."""
    asked, full = plan.days_to_a_billion
    found: dict[str, Any] = {
        "request": asdict(plan.request),
        "partitions": plan.partitions,
        "stages": [
            {
                "stage": each.model.stage, "workers": each.workers, "idle": each.idle,
                "cores": each.cores, "gpus": each.gpus, "memory_gb": round(each.memory_gb, 3),
                "images_per_second_each": each.model.rate, "capacity": each.capacity,
                "limit": each.model.limit, "lag_threshold": each.lag_threshold,
                "setting": each.model.setting,
            }
            for each in plan.stages
        ],
        "captions": None if plan.captions is None else asdict(plan.captions),
        "storage": asdict(plan.storage),
        "totals": {"cores": plan.cores, "gpus": plan.gpus, "memory_gb": round(plan.memory_gb, 3)},
        "days_to_a_billion": {"asked": asked, "all_busy": full},
        "dollars_a_day": plan.dollars_a_day,
        "figures": {
            name: asdict(each) for name, each in (plan.measured | plan.assumptions).items()
        },
    }  # fmt: skip
    if survey is not None:
        found["survey"] = survey_report.as_object(survey, package().figures)
    if check is not None:
        found["simulation"] = {
            "holds": not check.failures, "failures": check.failures,
            "all_workers": _outcome(check.fixed), "autoscaled": _outcome(check.scaled),
        }  # fmt: skip
    return json.dumps(found, indent=1)


def _outcome(outcome: Outcome) -> dict[str, Any]:
    """All but the curves, which have a value for each step."""
    fields = (
        "arrived", "done", "left", "drained", "age_mean", "age_p50", "age_p95", "age_p99", "step",
    )  # fmt: skip
    found: dict[str, Any] = {name: getattr(outcome, name) for name in fields}
    return found | {"stages": [asdict(each) for each in outcome.stages]}


def _cores(number: int) -> str:
    return f"{number:,} core" + "s" * (number != 1)


def _rate(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:,.3g}"


def _size(gigabytes: float) -> str:
    for unit, factor in (("PB", 1e6), ("TB", 1e3)):
        if gigabytes >= factor:
            return f"{gigabytes / factor:,.1f} {unit}"
    return f"{gigabytes:,.1f} GB"


def _bits(megabytes: float) -> str:
    bits = megabytes * 8 / 1000
    return f"{bits:,.1f} Gbit/s" if bits >= 1 else f"{bits * 1000:,.0f} Mbit/s"


def _days(days: float) -> str:
    return f"{days:,.0f} days" if days < 730 else f"{days / 365.25:,.1f} years"
