"""``python -m deploy.kafka``: Apache Kafka on loopback, until Ctrl-C."""

from __future__ import annotations

import argparse
import signal
import sys
import time
from pathlib import Path

from confluent_kafka.admin import AdminClient

from densefusion.errors import DenseFusionError
from deploy.kafka.cluster import KafkaCluster
from deploy.kafka.jars import version
from deploy.kafka.secure import Secured

_USER = "densefusion"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m deploy.kafka", description=__doc__)
    parser.add_argument(
        "--data-dir", type=Path,
        help="topics and logs; a later start on the same folder goes on with them "
        "(default: densefusion-data/kafka, or kafka-secure)",
    )  # fmt: skip
    parser.add_argument("--brokers", type=int, default=3, help="how many (default: 3)")
    parser.add_argument(
        "--secure", action="store_true",
        help="TLS, users (SASL/SCRAM, or a certificate) and ACLs, as in production",
    )  # fmt: skip
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    name = "kafka-secure" if arguments.secure else "kafka"
    folder = arguments.data_dir or Path("densefusion-data") / name
    secured = Secured(folder / "security", (_USER,)) if arguments.secure else None
    cluster = KafkaCluster(folder, arguments.brokers, secured=secured)
    try:
        print(f"starting {arguments.brokers} brokers of Apache Kafka {version()} ...", flush=True)
        with cluster:
            print(f"logs in {folder / 'logs'}; stop with Ctrl-C\n")
            if secured is not None:
                _grant(cluster, secured)
                _print_login(cluster, secured)
            print(f"export DENSEFUSION_KAFKA__BOOTSTRAP={cluster.bootstrap}")
            print(f"export DENSEFUSION_KAFKA__REPLICATION={cluster.replication}", flush=True)
            return _watch(cluster)
    except KeyboardInterrupt:
        return 0
    except DenseFusionError as error:
        print(error, file=sys.stderr)
        return 2


def _grant(cluster: KafkaCluster, secured: Secured) -> None:
    """What every stage and command of the default roster needs, to one user."""
    from consumers.roster import expert_classes
    from densefusion.settings import Experts
    from deploy.kafka import acls

    follows = {name: each.follows for name, each in expert_classes(Experts().roster).items()}
    parts = [*acls.stages(follows).values(), *acls.commands(follows).values(), [acls.LEDGER]]
    admin = AdminClient({"bootstrap.servers": cluster.bootstrap, **secured.options()})
    acls.grant(admin, _USER, [right for part in parts for right in part])


def _print_login(cluster: KafkaCluster, secured: Secured) -> None:
    certificate, key = secured.certificate(_USER)
    prefix = "export DENSEFUSION_KAFKA__SECURITY__"
    print(f"{prefix}PROTOCOL=SASL_SSL\n{prefix}USERNAME={_USER}")
    print(f"{prefix}PASSWORD_FILE={secured.password_file(_USER)}\n{prefix}CA={secured.ca}")
    print(f"# or, by a certificate: the brokers {cluster.mutual}, PROTOCOL=SSL,")
    print(f"# CERTIFICATE={certificate} and KEY={key} in place of a name and password")


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
