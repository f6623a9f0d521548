"""Does a model ever wait for its worker? python tests/benchmarks/starvation.py --help

Each expert's worker, a process of its own, takes JPEGs from the object store as their records come
from Kafka, and publishes priors in transactions. First with a device that sleeps in the model's
place: the worker's images a second over the device's own, which is what a GPU would get. Then with
the real sessions on the CPU, which share the cores with everything else: with what each part costs.
"""

from __future__ import annotations

import itertools
import json
import signal
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import brokers
import contender
import parts
import photographs
import typer
from cpu_times import cpu_times
from devices import SleepingDevice
from PIL import Image
from rich.console import Console
from rich.table import Table

from densefusion import topics
from densefusion.settings import Experts, Settings, environment
from densefusion.store import ObjectStore
from engines.session import usable_cores
from schemas import Codec

EXPERTS = ("detection", "tagging", "ocr")
PARTITIONS = 4
_WARM = 0.15  # share of the images that is done before the clock starts
_SECONDS = 300.0  # for one run
_SEED = 5
_UNDISTURBED = 0.9  # share of the cores that a bare loop gets where nothing else runs


@dataclass(slots=True)
class Run:
    """One worker's run.

    Attributes:
        device: ``sleeping`` or ``cpu``.
        bare, rate: images a second of the model alone, and of the worker (committed).
        bare_cpu: CPU milliseconds an image of the model alone; 0 for the device.
        disturbed: something else took cores from the model alone: trust no images a second then.
        busy: share of its time in which the sleeping device ran.
        mean_batch: images in a batch of it.
        cpu: CPU milliseconds an image, by process.
        parts: of the worker's, by part; on the CPU only.
    """

    expert: str
    device: str
    in_flight: int
    bare: float
    bare_cpu: float = 0.0
    disturbed: bool = False
    rate: float = 0.0
    busy: float = 0.0
    mean_batch: float = 0.0
    cpu: dict[str, float] = field(default_factory=dict)
    parts: dict[str, float] = field(default_factory=dict)

    @property
    def ratio(self) -> float:
        return self.rate / self.bare


def image_records(store: ObjectStore, folder: Path, pictures: int) -> list[dict[str, Any]]:
    """So many different photographs in the store, and their `Image` records."""
    now, records = datetime.now(UTC), []
    store.make_bucket()
    for row in photographs.make(folder, pictures, seed=_SEED):
        file = folder / row["url"]
        data, key = file.read_bytes(), f"images/{row['url']}"
        store.write(key, data)
        with Image.open(file) as picture:
            width, height = picture.size
        records.append({
            "image_id": row["url"], "object_key": key, "width": width, "height": height,
            "mime": "image/jpeg", "size": len(data), "phash": "0" * 16, "embedded": {},
            "fetched_at": now, "url_id": "u", "url": "https://example.org/", "alt_text": None,
            "page_url": None, "source": "benchmark", "extra": {}, "published_at": now,
        })  # fmt: skip
    return records


def measure(
    settings: Settings, run: Run, count: int, seconds: float, records: list[dict[str, Any]],
    folder: Path,
) -> None:  # fmt: skip
    """Put `count` images on the topic, start the worker, and fill in what it did."""
    kafka, codec = settings.kafka, Codec()
    brokers.create(kafka, [topics.IMAGES, topics.priors(run.expert)])
    filler = brokers.Filler(kafka)
    for number, record in zip(range(count), itertools.cycle(records)):
        value = record | {"image_id": f"{number:064x}"}
        raw = codec.encode("Image", value, "")
        filler.put(kafka.prefix + topics.IMAGES, value["image_id"].encode(), raw)
    filler.finish()
    assert kafka.bootstrap is not None
    done = brokers.Committed(
        kafka.bootstrap, kafka.prefix + run.expert, kafka.prefix + topics.IMAGES, PARTITIONS
    )
    log = folder / f"{kafka.prefix}log"
    arguments = {
        "expert": run.expert, "seconds": seconds, "in_flight": run.in_flight,
        "picture": str(folder / "pictures" / records[0]["object_key"].rpartition("/")[2]),
    }  # fmt: skip
    words = contender.command("worker", "expert_worker", arguments)
    first: tuple[float, int, dict[str, float]] | None = None
    try:
        with contender.started(run.expert, words, log, environment(settings)) as process:
            for _ in contender.deadline(_SECONDS):
                process.check()
                now, total = time.monotonic(), done.total()
                if first is None and total >= _WARM * count:
                    first = now, total, cpu_times() | {"worker": process.cpu()}
                if total >= count:
                    break
                time.sleep(0.02)
            else:
                raise process.failed(f"committed {total} in {_SECONDS:.0f} s")
            spent = cpu_times() | {"worker": process.cpu()}
    finally:
        done.close()
    assert first is not None
    images = total - first[1]
    run.rate = images / (now - first[0])
    names = ("worker", "weed", *(name for name in spent if name.startswith("tansu")))
    run.cpu = {name: (spent[name] - first[2].get(name, 0.0)) / images * 1e3 for name in names}
    did = json.loads(log.read_text().rstrip().rpartition("\n")[2])
    if did["batches"]:
        run.busy, run.mean_batch = did["busy"] / did["span"], count / did["batches"]


def device_rate(seconds: float, batch: int) -> float:
    """Images a second of the sleeping device in a bare loop."""
    device = SleepingDevice(seconds)
    for _ in range(max(5, round(2 / seconds))):
        device.wait()
    return batch * device.batches / (device.ended - device.began)


def show(runs: list[Run]) -> None:
    """The tables."""
    console = Console()
    table = Table(
        "expert", "model", "flying", "alone", "worker", "ratio", "busy", "batch", "worker ms",
        "store ms", "broker ms", title="images/s; CPU ms an image",
    )  # fmt: skip
    for column in table.columns[2:]:
        column.justify = "right"
    for run in runs:
        table.add_row(
            run.expert, run.device, str(run.in_flight or "roster"), f"{run.bare:.1f}",
            f"{run.rate:.1f}", f"{run.ratio:.3f}", f"{run.busy:.1%}" if run.busy else "",
            f"{run.mean_batch:.2f}" if run.busy else "", *_costs(run),
        )  # fmt: skip
    console.print(table)
    explained = [run for run in runs if run.parts]
    if not explained:
        return
    table = Table("CPU ms/image", *(run.expert for run in explained))
    for column in table.columns[1:]:
        column.justify = "right"
    for part in explained[0].parts:
        table.add_row(part, *(f"{run.parts[part]:.2f}" for run in explained))
    sums = [sum(run.parts.values()) for run in explained]
    rests = [run.cpu["worker"] - total for run, total in zip(explained, sums, strict=True)]
    table.add_row("Kafka, event loop, threads (the rest)", *(f"{rest:.2f}" for rest in rests))
    table.add_row("worker", *(f"{run.cpu['worker']:.2f}" for run in explained))
    table.add_row(
        "the servers", *(f"{sum(run.cpu.values()) - run.cpu['worker']:.2f}" for run in explained)
    )
    table.add_row("the model alone", *(f"{run.bare_cpu:.2f}" for run in explained))
    shares = (run.bare_cpu / sum(run.cpu.values()) for run in explained)
    table.add_row("of everything: the ratio to expect", *(f"{share:.3f}" for share in shares))
    console.print(table)
    if any(run.disturbed for run in explained):
        console.print("images/s on the CPU are not to be trusted: other processes took cores")


def _costs(run: Run) -> list[str]:
    broker = sum(value for name, value in run.cpu.items() if name not in ("worker", "weed"))
    return [f"{run.cpu['worker']:.2f}", f"{run.cpu['weed']:.2f}", f"{broker:.2f}"]


def main(
    only: Annotated[list[str] | None, typer.Option("--expert", help="Default: all.")] = None,
    seconds: Annotated[float, typer.Option(min=0.001, help="Of the device, a batch.")] = 0.1,
    batch: Annotated[int, typer.Option(min=1, help="Images in a full batch.")] = 8,
    in_flight: Annotated[
        list[int] | None, typer.Option(min=0, help="Records in work; 0: the roster's.")
    ] = None,
    images: Annotated[int, typer.Option(min=50, help="For each device run.")] = 2400,
    on_cpu: Annotated[int, typer.Option(min=0, help="Images on the CPU; 0: none.")] = 600,
    ocr_side: Annotated[int, typer.Option(min=64, help="OCR reads at this longest side.")] = 640,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Each expert's worker beside its model alone: on a device that sleeps, and on the CPU."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    runs: list[Run] = []
    with brokers.running(None) as on, tempfile.TemporaryDirectory() as name:
        folder, store = Path(name), ObjectStore(on.settings.store)
        records = image_records(store, folder / "pictures", 96)
        data = [(folder / "pictures" / each["image_id"]).read_bytes() for each in records]

        def measured(run: Run, count: int, experts: Experts, seconds: float) -> None:
            kafka = on.kafka(f"{run.device}{len(runs)}.", PARTITIONS)
            settings = on.settings.model_copy(update={"kafka": kafka, "experts": experts})
            measure(settings, run, count, seconds, records, folder)
            runs.append(run)
            print(run, file=sys.stderr)

        gpu = Experts(provider="cuda", max_batch=batch, ocr_max_side=ocr_side)
        for expert, flying in itertools.product(only or EXPERTS, in_flight or [0]):
            run = Run(expert, "sleeping", flying, device_rate(seconds, batch))
            measured(run, images, gpu, seconds)
        cpu = Experts(max_batch=batch, ocr_max_side=ocr_side)
        for expert in (only or EXPERTS) if on_cpu else ():
            settings = on.settings.model_copy(update={"experts": cpu})
            alone = parts.bare(settings, expert, data, 6)
            disturbed = alone.cores < _UNDISTURBED * usable_cores()
            run = Run(expert, "cpu", 0, alone.rate, alone.cpu, disturbed)
            run.parts = parts.parts(settings, expert, records)
            measured(run, on_cpu, cpu, 0)
        store.close()
    if as_json:
        print(json.dumps([asdict(run) | {"ratio": run.ratio} for run in runs], indent=1))
    else:
        show(runs)


if __name__ == "__main__":
    typer.run(main)
