"""The captions: tokens, price, length, and whose findings they lack."""

from __future__ import annotations

from deploy.grafana import queries as q
from deploy.grafana.page import Page, Section
from deploy.grafana.panels import GREEN, RED, YELLOW, Query, bars, graph, number

_ALL = q.rate("captions_total")
_MISSING = q.rate("missing_priors_total", by="expert")
_DOLLARS = "caption_price_dollars_total"


def _spread(name: str) -> tuple[Query, ...]:
    return tuple(
        Query(q.quantile(share, name), f"p{share * 100:.0f}") for share in (0.05, 0.5, 0.95)
    )


CAPTIONS = Page(
    "captions",
    "Captions",
    "The captions: tokens, price, length, and whose findings they lack.",
    (
        Section(
            "Now",
            (
                number(
                    "Captions per second",
                    "Captions written, all engines together.",
                    "cps",
                    Query(_ALL, "captions"),
                    width=4,
                    decimals=2,
                ),
                number(
                    "Length, mean",
                    "Words in a caption.",
                    "short",
                    Query(
                        f"{q.rate('caption_words_sum')} / {q.rate('caption_words_count')}", "words"
                    ),
                    width=4,
                    decimals=1,
                ),
                number(
                    "Time for a caption, p95",
                    "From the prompt to the text.",
                    "s",
                    Query(q.quantile(0.95, "caption_seconds"), "time"),
                    width=4,
                    steps=((None, GREEN), (30, YELLOW), (90, RED)),
                ),
                number(
                    "Tokens for a caption",
                    "Tokens in and out. `compose` uses none.",
                    "short",
                    Query(f"{q.rate('caption_tokens_total')} / {_ALL}", "tokens"),
                    width=4,
                ),
                number(
                    "Price of 1,000 captions",
                    "In US dollars; 0 for `compose`, and where no price is set.",
                    "currencyUSD",
                    Query(f"1000 * {q.rate(_DOLLARS)} / {_ALL}", "price"),
                    width=4,
                    decimals=2,
                ),
                number(
                    "Without some expert",
                    "Captions that lack the findings of the expert that is missing most.",
                    "percentunit",
                    Query(f"max({_MISSING}) / {_ALL}", "missing"),
                    width=4,
                    steps=((None, GREEN), (0.01, YELLOW), (0.05, RED)),
                    decimals=1,
                ),
            ),
        ),
        Section(
            "Captions",
            (
                graph(
                    "Captions per second, by engine",
                    "Who writes: `compose`, or a model.",
                    "cps",
                    Query(q.rate("captions_total", by="engine"), "{{engine}}"),
                    width=8,
                ),
                graph(
                    "Length",
                    "Words in a caption. A sudden drop at the top is a token limit.",
                    "short",
                    *_spread("caption_words"),
                    width=8,
                ),
                graph(
                    "Time for a caption",
                    "From the prompt to the text.",
                    "s",
                    *_spread("caption_seconds"),
                    width=8,
                ),
            ),
        ),
        Section(
            "Tokens and price",
            (
                graph(
                    "Tokens per second",
                    "Into the model (prompt and image) and out of it (caption).",
                    "cps",
                    Query(
                        q.rate("caption_tokens_total", by="engine, direction"),
                        "{{engine}} {{direction}}",
                    ),
                    width=8,
                ),
                graph(
                    "Price per hour",
                    "At the rate of now, in US dollars.",
                    "currencyUSD",
                    Query(f"3600 * {q.rate(_DOLLARS, by='engine')}", "{{engine}}"),
                    width=8,
                ),
                bars(
                    "Spent, over the time shown",
                    "In US dollars.",
                    "currencyUSD",
                    Query(q.increase(_DOLLARS, by="engine"), "{{engine}}"),
                    width=8,
                ),
            ),
        ),
        Section(
            "Whose findings are missing",
            (
                graph(
                    "Missing experts",
                    "Share of captions that had to do without an expert's findings.",
                    "percentunit",
                    Query(f"{_MISSING} / ignoring (expert) group_left () {_ALL}", "{{expert}}"),
                    width=8,
                    highest=1,
                    steps=((0.05, RED),),
                ),
                bars(
                    "Missing, over the time shown",
                    "Captions without an expert's findings.",
                    "short",
                    Query(q.increase("missing_priors_total", by="expert"), "{{expert}}"),
                    width=8,
                    steps=((None, GREEN), (1, RED)),
                ),
                graph(
                    "Late answers",
                    "Priors that came after their image had left the join, and captions that were "
                    "made again because of them.",
                    "cps",
                    Query(q.rate("late_priors_total"), "late priors"),
                    Query(q.rate("recaptions_total", by="expert"), "made again for {{expert}}"),
                    width=8,
                ),
                graph(
                    "Join: window filled",
                    "Images that wait in the join, of those that its window allows, by partition. "
                    "A full one waits for an expert that is slower than the others.",
                    "percentunit",
                    Query(
                        f"{q.highest('join_images', by='partition')} "
                        f"/ on () group_left () {q.highest('join_window')}",
                        "partition {{partition}}",
                    ),
                ),
                graph(
                    "Join: oldest image",
                    "How long the first image of each partition has been waiting for its experts. "
                    "Past DENSEFUSION_JOIN__DEADLINE it goes on without them.",
                    "s",
                    Query(
                        q.highest("join_oldest_seconds", by="partition"), "partition {{partition}}"
                    ),
                ),
            ),
        ),
    ),
)
