"""``python -m deploy.kafka``: Apache Kafka on loopback, until Ctrl-C."""

from __future__ import annotations

import argparse
import signal
import sys
import time
from pathlib import Path

from densefusion.errors import DenseFusionError
from deploy.kafka.cluster import KafkaCluster
from deploy.kafka.jars import version


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m deploy.kafka", description=__doc__)
    parser.add_argument(
        "--data-dir", type=Path, default=Path("densefusion-data/kafka"),
        help="topics and logs; a later start on the same folder goes on with them",
    )  # fmt: skip
    parser.add_argument("--brokers", type=int, default=3, help="how many (default: 3)")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    cluster = KafkaCluster(arguments.data_dir, arguments.brokers)
    try:
        print(f"starting {arguments.brokers} brokers of Apache Kafka {version()} ...", flush=True)
        with cluster:
            print(f"logs in {arguments.data_dir / 'logs'}; stop with Ctrl-C\n")
            print(f"export DENSEFUSION_KAFKA__BOOTSTRAP={cluster.bootstrap}")
            print(f"export DENSEFUSION_KAFKA__REPLICATION={cluster.replication}", flush=True)
            return _watch(cluster)
    except KeyboardInterrupt:
        return 0
    except DenseFusionError as error:
        print(error, file=sys.stderr)
        return 2


def _watch(cluster: KafkaCluster) -> int:
    """Wait for Ctrl-C; a broker that ends by itself is said, and the others go on."""
    ended: set[int] = set()
    while len(ended) < len(cluster.pids()):
        for node, death in cluster.deaths().items():
            if node not in ended:
                ended.add(node)
                print(death, file=sys.stderr, flush=True)
        time.sleep(0.5)
    return 1


if __name__ == "__main__":
    sys.exit(main())
