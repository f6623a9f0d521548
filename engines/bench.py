"""How fast each model is on this machine, by batch size and precision, and how true to FP32."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import cycle, islice
from typing import Any, Literal, get_args

import numpy as np

from engines.catalogue import Model
from engines.cores import usable_cores
from engines.errors import EngineError
from engines.manifest import Precision
from engines.precisions import located
from engines.session import Provider, Session

BATCHES = (1, 4, 8, 16)
Item = Literal["picture", "line of text", "input"]


@dataclass(frozen=True, slots=True)
class Row:
    """One model at one precision and one batch size.

    Attributes:
        provider: the one that really ran.
        batch: items in one run.
        item: what one of them is. A picture or a line of text: real ones, prepared, and turned into
            findings; an input: zeros at the model's usual shape, and no more than the session.
        ms: of one item, in a single run: on the CPU its one thread's CPU time, which what else
            runs on the machine hardly changes; on a GPU wall time.
        per_second: items, with as many runs at the same time as the experts have.
        agreement: with the FP32 model on the CPU, in [0, 1]; None where there is none to speak of.
        measure: what agrees; why there is none.
    """

    model: str
    task: str
    provider: str
    precision: str
    batch: int
    item: Item
    ms: float
    per_second: float
    agreement: float | None
    measure: str


def bench(
    models: Sequence[Model],
    *,
    photographs: Sequence[np.ndarray],
    provider: Provider = "cpu",
    precision: Precision | None = None,
    batches: Sequence[int] = BATCHES,
    seconds: float = 1.0,
) -> list[Row]:
    """Run every model at every batch size for `seconds`, alone, and `seconds` side by side.

    Args:
        photographs: H x W x 3, uint8, RGB, upright; some with text on them, for the OCR's models.
        precision: None: FP32, and whatever else has been built for the provider.

    Raises:
        EngineError: there are no photographs; a model, its precision or the provider cannot be had.
    """
    if not photographs:
        raise EngineError("a benchmark needs photographs")
    rows = []
    for model in models:
        for each in [precision] if precision else _built(model, provider):
            session = _session(model, each, provider)
            agrees, measure = _agreement(model, each, session, photographs)
            run, items, item = _work(model, session, photographs)
            about = model.name, model.task, session.provider, each
            for size in batches:
                ms, per_second = timed(
                    run, items, size, seconds, runs(session.provider), clock(session.provider)
                )
                rows.append(Row(*about, size, item, ms, per_second, agrees, measure))
    if precision is None and any(model.finish == "ctc-greedy" for model in models):
        rows += _reader_rows(photographs, provider, batches, seconds)
    return rows


def runs(provider: str) -> int:
    """Runs at the same time that fill a provider: one a core; on a GPU one, and one that waits."""
    return usable_cores() if provider == "cpu" else 2


def clock(provider: str) -> Callable[[], float]:
    """What `Row.ms` is read on, in seconds."""
    return time.thread_time if provider == "cpu" else time.perf_counter


def timed(
    run: Callable[[Sequence[Any]], object],
    items: Sequence[Any],
    size: int,
    seconds: float,
    threads: int,
    clock: Callable[[], float] = time.perf_counter,
) -> tuple[float, float]:
    """Milliseconds an item alone by `clock`, and items a second with `threads` runs at a time.

    The items are gone through in batches of `size`, alone at least once, then again and again.
    """
    endless = list(islice(cycle(items), max(len(items), size) + size))
    starts = range(0, max(1, len(endless) - size), size)
    batches = [endless[at : at + size] for at in starts]
    everybody = threading.Barrier(threads)

    def loop(first: int, together: bool) -> tuple[float, float, float, int]:
        """When it began and ended, what it took by `clock`, and how many batches were done."""
        if together:
            everybody.wait()
        began, before, done = time.perf_counter(), clock(), 0
        least = 1 if together else len(batches)
        while done < least or time.perf_counter() - began < seconds:
            run(batches[(first + done) % len(batches)])
            done += 1
        return began, time.perf_counter(), clock() - before, done

    run(batches[0])  # warm
    *_, spent, done = loop(0, together=False)
    with ThreadPoolExecutor(threads) as pool:
        found = list(pool.map(partial(loop, together=True), range(threads)))
    wall = max(end for _, end, *_ in found) - min(begin for begin, *_ in found)
    return 1e3 * spent / (done * size), sum(count for *_, count in found) * size / wall


def _reader_rows(
    photographs: Sequence[np.ndarray], provider: Provider, batches: Sequence[int], seconds: float
) -> list[Row]:
    """The whole of OCR: pictures to text, as the expert runs it."""
    from engines.ocr import Reader, models
    from engines.ocr.detector import TextDetector
    from engines.ocr.orientation import OrientationClassifier
    from engines.ocr.recogniser import TextRecogniser
    from engines.optimise.measures import characters

    def texts(reader: Reader) -> list[str]:
        return ["\n".join(line.text for line in reader.read([each])[0]) for each in photographs]

    find, read, turn = (
        Session(models.find(name))
        for name in (models.DETECTOR, models.RECOGNISER, models.CLASSIFIER)
    )
    plain = Reader(TextDetector(find), TextRecogniser(read), OrientationClassifier(turn))
    wanted = texts(plain)
    readers = [
        Reader.load(provider=provider, max_batch=max(batches), precision=each)
        for each in ("fp32", "auto")
    ]
    rows = []
    for served in {reader.precision: reader for reader in readers}.values():
        agrees = characters(wanted, texts(served))
        about = models.NAME, "ocr, the whole", served.provider, served.precision
        for size in batches:
            fill, tick = runs(served.provider), clock(served.provider)
            ms, rate = timed(served.read, photographs, size, seconds, fill, tick)
            rows.append(Row(*about, size, "picture", ms, rate, agrees, "characters"))
    return rows


def _built(model: Model, provider: Provider) -> list[Precision]:
    """FP32, and the precisions whose files are there."""
    found: list[Precision] = ["fp32"]
    for each in get_args(Precision):
        try:
            located(model, each, provider=provider)
        except EngineError:
            continue
        if each != "fp32":
            found.append(each)
    return found


def _session(model: Model, precision: Precision, provider: Provider) -> Session:
    path = located(model, precision, provider=provider)
    return Session(path, provider=provider, threads=1, contract=model, precision=precision)


def _agreement(
    model: Model, precision: Precision, session: Session, photographs: Sequence[np.ndarray]
) -> tuple[float | None, str]:
    if precision == "fp32" and session.provider == "cpu":
        return None, "it is the reference"
    from engines.optimise import agreement

    try:
        found = agreement(model.task, Session(located(model)), session, photographs)
    except EngineError as error:
        return None, str(error)
    return found.value, found.measure


def _work(
    model: Model, session: Session, photographs: Sequence[np.ndarray]
) -> tuple[Callable[[Sequence[Any]], object], Sequence[Any], Item]:
    """What an expert does with a batch of prepared items, and some items."""
    from engines import detection, tagging
    from engines.ocr.detector import TextDetector
    from engines.ocr.orientation import OrientationClassifier
    from engines.ocr.recogniser import TextRecogniser

    match model.finish:
        case "ssd-two-views":
            detector = detection.Detector(session, detection.load_labels())
            return detector.run, [detector.prepare(each) for each in photographs], "picture"
        case "imagenet-two-views":
            tagger = tagging.Tagger(session, tagging.load_labels())
            return tagger.run, [tagger.prepare(each) for each in photographs], "picture"
        case "differentiable-binarization":
            return TextDetector(session, max_batch=max(BATCHES)).detect, photographs, "picture"
        case "ctc-greedy":
            reader = TextRecogniser(session, max_batch=max(BATCHES))
            return reader.recognise, lines(photographs), "line of text"
        case "upright-or-not":
            return OrientationClassifier(session).overturned, lines(photographs), "line of text"
    one = {port.name: np.zeros((1, *port.at("opt")[1:]), port.dtype) for port in model.inputs}

    def run(batch: Sequence[Mapping[str, np.ndarray]]) -> object:
        return session.run({name: np.concatenate([f[name] for f in batch]) for name in one})

    return run, [one], "input"


def lines(photographs: Sequence[np.ndarray]) -> list[np.ndarray]:
    """The lines of text on photographs, cut out: h x w x 3, uint8, RGB.

    Raises:
        EngineError: there are none.
    """
    from engines.ocr import models
    from engines.ocr.detector import TextDetector
    from engines.ocr.geometry import along_text, crop

    detector = TextDetector(Session(models.find(models.DETECTOR)))
    found = [
        crop(image, along_text(box.quad))
        for image, boxes in zip(photographs, detector.detect(photographs), strict=True)
        for box in boxes
    ]
    if not found:
        raise EngineError("no text on these photographs: name a folder that has some")
    return found
