"""``python -m tests.autoscaling``: a burst, drained by more and more workers, and fewer again."""

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
from tests.autoscaling.run import Options, run


def main() -> int:
    """0: drained, shrunk, and the ledger is exact; 1: not so; 2: the run could not be made."""
    given = _arguments()
    if (why := available()) is not None:
        print(why, file=sys.stderr)
        return 2
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(name)s %(message)s", datefmt="%H:%M:%S",
        stream=sys.stderr,
    )  # fmt: skip
    logging.getLogger("densefusion").setLevel(logging.ERROR)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    folder = given.folder or Path(tempfile.mkdtemp(prefix="densefusion-autoscaling-"))
    options = Options(
        given.images, folder.absolute(), given.brokers, given.partitions, given.device_seconds,
        given.most, given.quick,
    )  # fmt: skip
    try:
        report = run(options)
    except KeyboardInterrupt:
        print(f"interrupted; logs in {folder}", file=sys.stderr)
        return 130
    except DenseFusionError as error:
        print(error, file=sys.stderr)
        return 2
    print(report.text())
    if given.out is not None:
        from tests.autoscaling.plot import draw  # matplotlib is slow to load

        draw(report, given.out)
    if given.json is not None:
        given.json.write_text(report.json() + "\n", "utf-8")
    if report.good and given.folder is None:
        shutil.rmtree(folder, ignore_errors=True)
    return 0 if report.good else 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.autoscaling", description=__doc__)
    parser.add_argument("--images", type=int, default=10_000, help="of the burst (default: 10000)")
    parser.add_argument("--brokers", type=int, default=3)
    parser.add_argument("--partitions", type=int, default=8, help="of every topic (default: 8)")
    parser.add_argument(
        "--device-seconds", type=float, default=0.1, help="of one image on one worker's device"
    )
    parser.add_argument("--most", type=int, default=8, help="workers with a device (default: 8)")
    parser.add_argument("--quick", action="store_true", help="short times, for a test")
    parser.add_argument("--out", type=Path, help="draw lag, workers and throughput into this PNG")
    parser.add_argument("--json", type=Path, help="write everything here too")
    parser.add_argument("--folder", type=Path, help="for data and logs (default: a temporary one)")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
