"""Is it flowing, how fast, what does it cost, what is stuck where."""

from __future__ import annotations

from deploy.grafana import queries as q
from deploy.grafana.page import Page, Panel, Section, Stack
from deploy.grafana.panels import (
    BLUE,
    GREEN,
    PLAIN,
    RED,
    WAIT,
    YELLOW,
    Query,
    Steps,
    graph,
    number,
    rows,
    states,
)

# An hour of backlog is a choice, half a day is a mistake in the number of workers.
_DRAIN: Steps = ((None, GREEN), (3_600, YELLOW), (6 * 3_600, RED))
_EXPERTS = 'stage!~"fetch|curate|fusion|dataset"'
_CPU = f"sum(rate({q.process('cpu_seconds_total')}[{q.OVER}]))"
_CAPTIONS, _REJECTS = q.rate("captions_total"), q.rate("rejects_total")


def _box(stage: str, before: str) -> Panel:
    """One box of the flow: what it does a second, what waits in front of it, for how long."""
    chosen = f'stage="{stage}"'
    return number(
        f"{stage} ▶" if stage != "dataset" else stage,
        f"{stage.capitalize()}: records a second, records that wait in front of it ({before}), "
        "and how long ago the oldest of them was published.",
        "cps",
        Query(q.rate("records_in_total", chosen), "a second"),
        Query(q.waiting(chosen, by=""), "waiting", "short", PLAIN),
        Query(q.highest("consumer_lag_seconds", chosen), "behind", "s", WAIT),
        width=4,
        height=9,
        steps=((None, BLUE),),
    )


def _experts(title: str, description: str, unit: str, expr: str, steps: Steps) -> Panel:
    """The experts' box: a number for each, since the roster is a setting."""
    return number(title, description, unit, Query(expr), width=8, height=3, steps=steps, line=False)


OVERVIEW = Page(
    "overview",
    "Overview",
    "Is it flowing, how fast, what does it cost, what is stuck where.",
    (
        Section(
            "Now",
            (
                number(
                    "Captions per second",
                    "Captions written and committed, all engines together.",
                    "cps",
                    Query(_CAPTIONS, "captions"),
                    decimals=2,
                ),
                number(
                    "Waiting",
                    "Records in front of the stage that is furthest behind.",
                    "short",
                    Query(q.waiting(by=""), "records"),
                ),
                number(
                    "Time to drain",
                    "How long the slowest stage needs for what waits, at its rate now, if nothing "
                    "more came. Endless while it does nothing.",
                    "s",
                    Query(q.drain(by=""), "seconds"),
                    steps=_DRAIN,
                ),
                number(
                    "Age of a new caption, p95",
                    "From the URL's publication to its caption's commit, for 95 of 100 images.",
                    "s",
                    Query(q.quantile(0.95, "age_seconds", 'stage="fusion"'), "age"),
                    steps=((None, GREEN), (900, YELLOW), (6 * 3_600, RED)),
                ),
                number(
                    "Rejected",
                    "Of the URLs that end, the share that ends in a reject, at whichever stage. On "
                    "the open web a tenth to a third of old URLs are gone.",
                    "percentunit",
                    Query(f"{_REJECTS} / ({_REJECTS} + {_CAPTIONS})", "rejected"),
                    steps=((None, GREEN), (0.35, YELLOW), (0.6, RED)),
                    decimals=1,
                ),
                number(
                    "Dead letters",
                    "Records that no stage could make sense of, over the time shown. "
                    "Each is a bug, ours or a producer's.",
                    "short",
                    Query(q.increase("dead_letters_total"), "dead letters"),
                    steps=((None, GREEN), (1, RED)),
                    decimals=0,
                    line=False,
                ),
                number(
                    "Price of 1,000 captions",
                    "What the caption model's tokens cost, in US dollars; 0 for `compose`, "
                    "and where no price is set.",
                    "currencyUSD",
                    Query(f"1000 * {q.rate('caption_price_dollars_total')} / {_CAPTIONS}", "price"),
                    decimals=2,
                ),
                number(
                    "CPU for a caption",
                    "CPU seconds that all workers together spend on one caption.",
                    "s",
                    Query(f"{_CPU} / {_CAPTIONS}", "CPU"),
                    decimals=2,
                ),
            ),
        ),
        Section(
            "The flow",
            (
                _box("fetch", "topic urls"),
                _box("curate", "topic fetched"),
                Stack(
                    (
                        _experts(
                            "experts, a second ▶",
                            "Images a second. The experts work side by side on the same images.",
                            "cps",
                            q.rate("records_in_total", _EXPERTS, by="stage"),
                            PLAIN,
                        ),
                        _experts(
                            "experts, waiting",
                            "Images that wait in front of each expert (topic images).",
                            "short",
                            q.waiting(_EXPERTS),
                            PLAIN,
                        ),
                        _experts(
                            "experts, behind",
                            "How long ago the oldest image in front of each was published.",
                            "s",
                            q.highest("consumer_lag_seconds", _EXPERTS, by="stage"),
                            WAIT,
                        ),
                    )
                ),
                _box("fusion", "topic images, and the experts' priors"),
                _box("dataset", "topics captions and rejects"),
            ),
        ),
        Section(
            "Stuck where",
            (
                states(
                    "How far behind",
                    "How long ago the oldest record in front of a stage was published. Fusion "
                    "waits for the slowest expert: look at the leftmost coloured stage first.",
                    "s",
                    Query(q.highest("consumer_lag_seconds", by="stage")),
                    steps=WAIT,
                ),
                graph(
                    "Waiting, by stage",
                    "Records in front of each stage: of its topics, the one furthest behind.",
                    "short",
                    Query(q.waiting()),
                ),
                graph(
                    "Records per second, by stage",
                    "Records taken into work. The flow is only as fast as its slowest stage.",
                    "cps",
                    Query(q.rate("records_in_total", by="stage")),
                ),
                graph(
                    "Age at each stage, p95",
                    "From the URL's publication until the stage's output is committed (for "
                    "dataset: until the shard is stored), for 95 of 100 records.",
                    "s",
                    Query(q.quantile(0.95, "age_seconds", by="stage")),
                ),
                rows(
                    "Stages",
                    "Every stage now. A stage without a ready worker does nothing, and nobody but "
                    "its own workers reports its lag.",
                    "short",
                    Query(
                        q.total("worker_ready", by="stage"),
                        "ready workers",
                        steps=((None, RED), (1, GREEN)),
                    ),
                    Query(q.total("in_flight_records", by="stage"), "in flight"),
                    Query(q.rate("records_in_total", by="stage"), "records/s", "cps"),
                    Query(q.rate("rejects_total", by="stage"), "rejects/s", "cps"),
                    Query(q.waiting(), "waiting"),
                    Query(q.highest("consumer_lag_seconds", by="stage"), "behind", "s", WAIT),
                    Query(q.drain(), "to drain", "s", _DRAIN),
                    Query(q.quantile(0.95, "process_seconds", by="stage"), "work p95", "s"),
                    width=24,
                    height=9,
                ),
            ),
        ),
        Section(
            "What it costs",
            (
                graph(
                    "CPU, by stage",
                    "Cores that the workers of each stage keep busy.",
                    "short",
                    Query(q.cpu()),
                    width=8,
                    stacked=True,
                ),
                graph(
                    "Price per hour",
                    "What the caption models' tokens cost, in US dollars an hour at the rate now.",
                    "currencyUSD",
                    Query(
                        f"3600 * {q.rate('caption_price_dollars_total', by='engine')}", "{{engine}}"
                    ),
                    width=8,
                ),
                graph(
                    "Rejects per second, by reason",
                    "What does not become a caption, and why.",
                    "cps",
                    Query(q.rate("rejects_total", by="reason"), "{{reason}}"),
                    width=8,
                    stacked=True,
                ),
            ),
        ),
    ),
)
