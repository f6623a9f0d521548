"""The web: what it answers, how fast, and what it refuses."""

from __future__ import annotations

from deploy.grafana import queries as q
from deploy.grafana.page import Page, Section
from deploy.grafana.panels import GREEN, RED, YELLOW, Query, bars, graph, number

_OK, _NOT_OK = 'reason="ok"', 'reason!="ok"'
_ALL = q.rate("fetch_total")

FETCH = Page(
    "fetch",
    "Fetch",
    "The web: what it answers, how fast, and what is refused.",
    (
        Section(
            "Now",
            (
                number(
                    "URLs per second",
                    "URLs tried, whatever came of them.",
                    "reqps",
                    Query(_ALL, "URLs"),
                    width=4,
                    decimals=2,
                ),
                number(
                    "Images fetched",
                    "Share of URLs that gave an image that is kept.",
                    "percentunit",
                    Query(f"{q.rate('fetch_total', _OK)} / {_ALL}", "fetched"),
                    width=4,
                    steps=((None, RED), (0.4, YELLOW), (0.65, GREEN)),
                    decimals=1,
                ),
                number(
                    "Time of a fetch, p95",
                    "Redirects and repeated attempts included.",
                    "s",
                    Query(q.quantile(0.95, "fetch_seconds"), "time"),
                    width=4,
                    steps=((None, GREEN), (10, YELLOW), (30, RED)),
                ),
                number(
                    "Bytes per second",
                    "What comes in from the web.",
                    "Bps",
                    Query(q.rate("fetch_bytes_total"), "bytes"),
                    width=4,
                ),
                number(
                    "Mean size of an image",
                    "Bytes received for each URL that gave an image.",
                    "bytes",
                    Query(f"{q.rate('fetch_bytes_total')} / {q.rate('fetch_total', _OK)}", "size"),
                    width=4,
                ),
                number(
                    "URLs waiting",
                    "URLs in front of fetch.",
                    "short",
                    Query(q.waiting('stage="fetch"', by=""), "URLs"),
                    width=4,
                ),
            ),
        ),
        Section(
            "Answers",
            (
                graph(
                    "URLs per second, by outcome",
                    "`ok`, or the reason why not.",
                    "reqps",
                    Query(q.rate("fetch_total", by="reason"), "{{reason}}"),
                    stacked=True,
                    colours={"ok": GREEN},
                    table_legend=True,
                ),
                graph(
                    "URLs per second, by HTTP status",
                    "`none` where no answer came: a name that does not resolve, a refused "
                    "connection, a time-out.",
                    "reqps",
                    Query(q.rate("fetch_total", by="status"), "{{status}}"),
                    stacked=True,
                    colours={"200": GREEN},
                    table_legend=True,
                ),
                bars(
                    "Refused most",
                    "Refused URLs over the time shown, by reason.",
                    "short",
                    Query(
                        f"topk(8, {q.increase('fetch_total', _NOT_OK, by='reason')})",
                        "{{reason}}",
                    ),
                    width=8,
                ),
                graph(
                    "URLs per second, by kind of host",
                    "By top-level domain: generic (.com), a country's, other, or a bare address.",
                    "reqps",
                    Query(q.rate("fetch_total", by="host_class"), "{{host_class}}"),
                    width=8,
                ),
                graph(
                    "Fetched, by kind of host",
                    "Share of URLs that gave an image.",
                    "percentunit",
                    Query(
                        f"{q.rate('fetch_total', _OK, by='host_class')} / "
                        f"{q.rate('fetch_total', by='host_class')}",
                        "{{host_class}}",
                    ),
                    width=8,
                    highest=1,
                ),
            ),
        ),
        Section(
            "Speed",
            (
                graph(
                    "Time of a fetch",
                    "Redirects and repeated attempts included. The median is the web; the tail is "
                    "time-outs.",
                    "s",
                    *(
                        Query(q.quantile(share, "fetch_seconds"), f"p{share * 100:.0f}")
                        for share in (0.5, 0.95, 0.99)
                    ),
                    width=8,
                ),
                graph(
                    "Time of a fetch, p95, by kind of host",
                    "Which part of the web is slow.",
                    "s",
                    Query(q.quantile(0.95, "fetch_seconds", by="host_class"), "{{host_class}}"),
                    width=8,
                ),
                graph(
                    "Bytes per second, by kind of host",
                    "What comes in from the web.",
                    "Bps",
                    Query(q.rate("fetch_bytes_total", by="host_class"), "{{host_class}}"),
                    width=8,
                    stacked=True,
                ),
            ),
        ),
    ),
)
