"""A process with a worker's metrics, served as a worker's, that spends CPU instead of working.

Prints its port. For each line of standard input it does a hundred records of 10 ms of CPU each,
and prints a line.
"""

from __future__ import annotations

import sys
import time

from densefusion import metrics, process_metrics
from densefusion.health import Health

RECORDS = 100
CPU_MS = 10.0
SECONDS_PER_URL = 0.25


def main() -> None:
    process_metrics.set_up()
    metrics.ENGINE_INFO.labels("ocr", "m", "cpu", "cpu", "fp32").set(1)
    done = metrics.PROCESS_SECONDS.labels("ocr")
    model = metrics.STEP_SECONDS.labels("ocr", "model")
    with Health(0, "127.0.0.1") as health:
        print(health.port, flush=True)
        for _ in sys.stdin:
            for number in range(RECORDS):
                started, until = time.monotonic(), time.thread_time() + CPU_MS / 1000
                while time.thread_time() < until:
                    pass
                model.inc(time.monotonic() - started)
                done.observe(time.monotonic() - started)
                metrics.FETCH_SECONDS.labels("generic").observe(SECONDS_PER_URL)
                topic = "fetched" if number % 4 else "rejects"
                metrics.RECORDS_OUT.labels("fetch", topic).inc()
            print(flush=True)


if __name__ == "__main__":
    main()
