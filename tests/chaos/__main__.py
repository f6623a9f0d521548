"""``python -m tests.chaos``: a seeded run of the whole stream under faults."""

from __future__ import annotations

import argparse
import logging
import shutil
import signal
import sys
import tempfile
from pathlib import Path

from densefusion.errors import DenseFusionError
from deploy.kafka.cluster import available
from tests.chaos.run import Options, run
from tests.chaos.schedule import LANES


def main() -> int:
    """0: the ledger is exact; 1: it is not; 2: the run could not be made."""
    options, arguments = _options()
    if arguments.dry_run:
        print(*options.schedule(), sep="\n")
        return 0
    if (why := available()) is not None:
        print(why, file=sys.stderr)
        return 2
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(name)s %(message)s", datefmt="%H:%M:%S",
        stream=sys.stderr,
    )  # fmt: skip
    logging.getLogger("densefusion").setLevel(logging.ERROR)  # brokers that are away are no news
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    print(f"seed {options.seed}; logs in {options.folder}", flush=True)
    try:
        report = run(options)
    except KeyboardInterrupt:
        print(f"interrupted; logs in {options.folder}", file=sys.stderr)
        return 130
    except DenseFusionError as error:
        print(error, file=sys.stderr)
        return 2
    print(report.text())
    if arguments.json is not None:
        arguments.json.write_text(report.json() + "\n", "utf-8")
    if report.good and not arguments.keep:
        # The data of a run that went well are of no use, and large; its logs are not.
        for folder in ("store/data", "kafka/node-0", "kafka/node-1", "kafka/node-2"):
            shutil.rmtree(options.folder / folder, ignore_errors=True)
    return 0 if report.good else 1


def _options() -> tuple[Options, argparse.Namespace]:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--images", type=int, default=20_000, help="URLs (default: 20000)")
    parser.add_argument("--faults", type=int, default=100, help="at least so many (default: 100)")
    parser.add_argument("--seed", type=int, default=1, help="decides pictures and faults")
    parser.add_argument("--minutes", type=float, help="nothing more is published after so many")
    parser.add_argument("--partitions", type=int, default=8, help="of every topic (default: 8)")
    parser.add_argument("--workers", type=int, default=2, help="of each stage at the beginning")
    parser.add_argument("--protocol", choices=("classic", "consumer"), default="classic")
    parser.add_argument("--static", action="store_true", help="static membership of the groups")
    parser.add_argument("--only", choices=LANES, nargs="+", default=LANES, help="what is hit")
    parser.add_argument("--folder", type=Path, help="for data and logs (default: a temporary one)")
    parser.add_argument("--json", type=Path, help="write the report here too, as JSON")
    parser.add_argument("--keep", action="store_true", help="keep the data of a good run as well")
    parser.add_argument("--dry-run", action="store_true", help="print the schedule of faults")
    given = parser.parse_args()
    folder = given.folder
    if folder is None:
        folder = Path(tempfile.gettempdir()) / "densefusion-chaos-schedule"
        if not given.dry_run:
            folder = Path(tempfile.mkdtemp(prefix=f"densefusion-chaos-{given.seed}-"))
    return (
        Options(
            given.images, given.faults, given.seed, folder.absolute(), given.minutes,
            given.partitions, given.workers, given.protocol, given.static, tuple(given.only),
        ),
        given,
    )  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
