"""What the workers see of Kafka and of the object store."""

from __future__ import annotations

from deploy.grafana import queries as q
from deploy.grafana.page import Page, Section
from deploy.grafana.panels import GREEN, RED, WAIT, YELLOW, Query, bars, graph, number, states

_FAILED = 'outcome=~"aborted|uncertain"'

KAFKA = Page(
    "kafka",
    "Kafka and object store",
    "What the workers see of Kafka and of the object store.",
    (
        Section(
            "Now",
            (
                number(
                    "Brokers up",
                    "Fewest brokers that any worker is connected to.",
                    "short",
                    Query(f"min({q.metric('kafka_brokers_up')})", "brokers"),
                    width=4,
                    steps=((None, RED), (1, GREEN)),
                    line=False,
                ),
                number(
                    "Furthest behind",
                    "How long ago the oldest unread record was published, over all topics.",
                    "s",
                    Query(q.highest("consumer_lag_seconds"), "behind"),
                    width=4,
                    steps=WAIT,
                ),
                number(
                    "Partitions assigned",
                    "Partitions that workers hold, over all stages.",
                    "short",
                    Query(q.total("assigned_partitions"), "partitions"),
                    width=4,
                    line=False,
                ),
                number(
                    "Rebalances",
                    "Assignments received over the time shown. A few at each start or stop of a "
                    "worker; many mean that workers drop out.",
                    "short",
                    Query(q.increase("rebalances_total"), "rebalances"),
                    width=4,
                    decimals=0,
                    line=False,
                ),
                number(
                    "Transactions failed",
                    "Share of transactions that were aborted or whose end is unknown.",
                    "percentunit",
                    Query(
                        f"{q.rate('transactions_total', _FAILED)} / {q.rate('transactions_total')}",
                        "failed",
                    ),
                    width=4,
                    steps=((None, GREEN), (0.01, YELLOW), (0.1, RED)),
                    decimals=1,
                ),
                number(
                    "Object store errors",
                    "Attempts that failed over the time shown. They are tried again.",
                    "short",
                    Query(f"{q.increase('store_errors_total')} or vector(0)", "errors"),
                    width=4,
                    steps=((None, GREEN), (1, YELLOW), (100, RED)),
                    decimals=0,
                    line=False,
                ),
            ),
        ),
        Section(
            "Lag",
            (
                graph(
                    "Lag, by stage and topic",
                    "Records that a stage has not read yet. An idle partition shows one, the "
                    "marker of the last transaction.",
                    "short",
                    Query(
                        q.total("consumer_lag_records", by="stage, topic"), "{{stage}} ← {{topic}}"
                    ),
                    table_legend=True,
                ),
                graph(
                    "Behind, by stage and topic",
                    "How long ago the oldest unread record was published.",
                    "s",
                    Query(
                        q.highest("consumer_lag_seconds", by="stage, topic"),
                        "{{stage}} ← {{topic}}",
                    ),
                    table_legend=True,
                    steps=((600, RED),),
                ),
                bars(
                    "Partitions with the most lag",
                    "A single one ahead of all others has a hot key, or a worker that is stuck.",
                    "short",
                    Query(
                        "topk(10, "
                        + q.total("consumer_lag_records", by="stage, topic, partition")
                        + ")",
                        "{{stage}} ← {{topic}} [{{partition}}]",
                    ),
                    width=12,
                ),
                states(
                    "Partitions assigned, by stage",
                    "Partitions that a stage's workers hold: a gap is a rebalance, or no worker.",
                    "short",
                    Query(q.total("assigned_partitions", by="stage")),
                    steps=((None, RED), (1, GREEN)),
                ),
            ),
        ),
        Section(
            "Transactions",
            (
                graph(
                    "Transactions per second, by outcome",
                    "A transaction publishes a stage's output and commits its input. Aborted ones "
                    "are done again; an uncertain one is settled by the next producer.",
                    "cps",
                    Query(q.rate("transactions_total", by="outcome"), "{{outcome}}"),
                    colours={"committed": GREEN, "uncertain": YELLOW, "aborted": RED},
                    width=8,
                ),
                graph(
                    "Time of a transaction, p95",
                    "From begin to commit.",
                    "s",
                    Query(q.quantile(0.95, "transaction_seconds", by="stage")),
                    width=8,
                ),
                graph(
                    "Rebalances, by stage",
                    "Assignments received, in each interval.",
                    "short",
                    Query(f"sum by (stage) (increase({q.metric('rebalances_total')}[{q.OVER}]))"),
                    width=8,
                ),
            ),
        ),
        Section(
            "Brokers",
            (
                graph(
                    "Received",
                    "Bytes a second from the brokers.",
                    "Bps",
                    Query(q.rate("kafka_received_bytes_total", by="stage")),
                    width=8,
                ),
                graph(
                    "Sent",
                    "Bytes a second to the brokers.",
                    "Bps",
                    Query(q.rate("kafka_sent_bytes_total", by="stage")),
                    width=8,
                ),
                graph(
                    "Prefetched records",
                    "Records in the consumers' queues, ready to be taken.",
                    "short",
                    Query(q.total("kafka_prefetched_records", by="stage")),
                    width=8,
                ),
                graph(
                    "Round trip, p99",
                    "Of requests to the slowest broker. A fetch waits for data, so an idle stage "
                    "shows that wait.",
                    "s",
                    Query(q.highest("kafka_broker_rtt_seconds", by="stage")),
                    width=8,
                ),
                graph(
                    "Request time-outs",
                    "Requests that no broker answered in time, in each interval.",
                    "short",
                    Query(
                        "sum by (stage) (increase("
                        f"{q.metric('kafka_request_timeouts_total')}[{q.OVER}]))"
                    ),
                    width=8,
                ),
                graph(
                    "Brokers up, by stage",
                    "Brokers that a stage's workers are connected to; the worst worker counts.",
                    "short",
                    Query(f"min by (stage) ({q.metric('kafka_brokers_up')})"),
                    width=8,
                ),
            ),
        ),
        Section(
            "Object store",
            (
                graph(
                    "Requests per second",
                    "Reads, writes and looks, by operation.",
                    "reqps",
                    Query(q.rate("store_seconds_count", by="operation"), "{{operation}}"),
                    width=8,
                ),
                graph(
                    "Time of a request, p95",
                    "Retries included, by operation.",
                    "s",
                    Query(q.quantile(0.95, "store_seconds", by="operation"), "{{operation}}"),
                    width=8,
                ),
                graph(
                    "Errors per second",
                    "Attempts that failed, by operation and kind. They are tried again.",
                    "cps",
                    Query(
                        q.rate("store_errors_total", by="operation, kind"), "{{operation}} {{kind}}"
                    ),
                    width=8,
                ),
                graph(
                    "Bytes per second",
                    "Images and shards that are written and read.",
                    "Bps",
                    Query(q.rate("store_bytes_total", by="operation"), "{{operation}}"),
                    width=24,
                    height=6,
                ),
            ),
        ),
    ),
)
