"""Who is who: from a stage's name to a worker that runs it."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from importlib.metadata import EntryPoint

from consumers.caption_engine import caption_engine
from consumers.client_stats import ClientStats
from consumers.curate import Curate
from consumers.dataset.stage import Dataset
from consumers.expert import Expert, experts
from consumers.expert_stage import ExpertStage
from consumers.experts.batching import records_in_flight
from consumers.fetch import Fetch
from consumers.fusion import Fusion
from consumers.incomplete import Incomplete
from consumers.join_source import JoinSource
from consumers.outputs import Outputs
from consumers.passed import Passed
from consumers.source import Source, TopicSource
from consumers.stage import Stage
from consumers.starting import Starting
from consumers.traces import Traces
from consumers.transaction import Transactions
from consumers.worker import Worker
from densefusion import clients, topics, tracing
from densefusion.errors import SettingsError
from densefusion.settings import Settings
from densefusion.store import ObjectStore
from densefusion.topics import Topic, Topics
from engines.decoders import decoder
from engines.session import usable_cores
from schemas import Codec, prior_schema
from schemas.codec import Registry

_OCR_PROCESSES = 4  # at the most: each takes half a gigabyte
_URL_SAFE = str.maketrans("+/", "-_")


def stage_names(settings: Settings) -> list[str]:
    """Every stage, in the order of the stream."""
    return ["fetch", "curate", *settings.experts.roster, "fusion", "dataset"]


def default_workers(settings: Settings) -> dict[str, int]:
    """Processes of each stage that fill this machine: one, but for OCR on the CPU.

    OCR costs more than all the others together, and much of it is Python: one process fills one
    core and a half, a process a core fills them all.
    """
    counts = dict.fromkeys(stage_names(settings), 1)
    if "ocr" in counts and settings.experts.provider == "cpu":
        counts["ocr"] = max(1, min(usable_cores(), settings.kafka.partitions, _OCR_PROCESSES))
    return counts


def registered(names: Iterable[str], profile: str = "starter") -> dict[str, EntryPoint]:
    """Where these experts are, of the profile where there is one of it; nothing is imported.

    Raises:
        SettingsError: one is not registered.
    """
    known = experts()
    unknown = [name for name in names if name not in known]
    if unknown:
        raise SettingsError(
            f"no expert named {', '.join(unknown)}; installed are {', '.join(sorted(known))}"
        )
    return {name: known.get(f"{name}.{profile}", known[name]) for name in names}


def expert_classes(names: Iterable[str], profile: str = "starter") -> dict[str, type[Expert]]:
    """The classes of these experts.

    Raises:
        SettingsError: one is not registered, or cannot be imported.
    """
    found: dict[str, type[Expert]] = {}
    for name, point in registered(names, profile).items():
        try:
            found[name] = point.load()
        except (ImportError, AttributeError) as error:
            raise SettingsError(f"expert {name} ({point.value}): {error}") from error
    return found


def make_codec(settings: Settings) -> Codec:
    """A codec that knows the records, and the priors of the roster's experts."""
    codec = Codec(_registry(settings))
    for name, expert in expert_classes(settings.experts.roster, settings.experts.profile).items():
        try:
            schema = prior_schema(expert.schema())
        except Exception as error:  # another package's code
            raise SettingsError(f"expert {name}: its schema cannot be had: {error}") from error
        codec.add(f"Prior:{name}", schema)
    return codec


def _registry(settings: Settings) -> Registry | None:
    if not settings.kafka.schema_registry:
        return None
    try:
        from densefusion import registry  # needs packages that only it needs
    except ImportError as error:
        raise SettingsError(
            f'a Schema Registry needs pip install "densefusion[registry]" ({error})'
        ) from error
    return registry.Registry(settings.kafka)


def make_topics(settings: Settings) -> Topics:
    return Topics(settings.kafka, clients.common(settings.kafka))


@dataclass(slots=True)
class _Built:
    stage: Stage
    source: Source
    in_flight: int
    passed: Passed | None = None


class Roster:
    """Builds workers. Verifies the topics once, for all of them.

    Raises:
        TopicError: a topic is missing, or partition counts differ.
        SettingsError: an expert of the roster is not installed.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._names = topics.all_topics(settings.experts.roster)
        self._topics: dict[str, Topic] = make_topics(settings).verify(self._names)
        self._codec = make_codec(settings)
        self.store = ObjectStore(settings.store)

    def worker(self, stage: str, instance: str) -> Worker:
        """A worker of `stage`, which is the slot `instance` of its group.

        Raises:
            SettingsError: there is no such stage.
        """
        settings = self._settings
        built = self._build(stage)
        kafka = settings.kafka
        identity = f"{kafka.prefix}{stage}-{instance}"
        stats = ClientStats(stage)
        return Worker(
            built.stage,
            built.source,
            partial(clients.consumer, kafka, stage, instance=instance, on_stats=stats),
            Transactions(
                partial(
                    clients.producer, kafka, identity, on_stats=ClientStats(stage, consumes=False)
                ),
                patience=kafka.retry_for,
            ),
            Outputs(stage, self._codec, kafka.prefix, largest=clients.largest(kafka)),
            settings.worker,
            Starting(kafka, built.passed),
            in_flight=built.in_flight,
            stats=stats,
            traces=self._traces(stage),
            patience=kafka.retry_for,
        )

    def close(self) -> None:
        """Once its workers have left."""
        self.store.close()

    def _traces(self, stage: str) -> Traces | None:
        tracer = tracing.tracer()
        if tracer is None:
            return None
        # Whoever publishes URLs need not trace them.
        return Traces(tracer, stage, self._settings.kafka.prefix + stage, first=stage == "fetch")

    def _build(self, stage: str) -> _Built:
        settings = self._settings
        in_flight = settings.worker.in_flight
        match stage:
            case "fetch":
                source = self._records({topics.URLS: "ImageUrl"})
                # More than the connections, so that one slow host does not leave them idle.
                return _Built(
                    Fetch(settings.fetch, self.store), source, 2 * settings.fetch.concurrency
                )
            case "curate":
                source = self._records({topics.FETCHED: "Image"})
                log = log_id(self._topics[topics.FETCHED])
                return _Built(
                    Curate(self.store, log, volatile=settings.kafka.volatile), source, in_flight
                )
            case "fusion":
                engine = caption_engine(settings.caption)
                return _Built(
                    Fusion(engine, self.store, self._codec, self._incomplete()),
                    self._join(),
                    max(in_flight, settings.caption.concurrency),
                )
            case "dataset":
                source = self._records({topics.CAPTIONS: "Caption", topics.REJECTS: "Reject"})
                # Its records wait for the flush together.
                return _Built(self._dataset(), source, 5000)
            case _:
                return self._expert(stage, in_flight)

    def _expert(self, name: str, in_flight: int) -> _Built:
        if name not in self._settings.experts.roster:
            raise SettingsError(
                f"no stage named {name}; there are {', '.join(stage_names(self._settings))}"
            )
        settings = self._settings.experts
        expert = expert_classes([name], settings.profile)[name](settings)  # type: ignore[call-arg]
        follows = expert.follows
        schema = "Image" if follows == topics.IMAGES else f"Prior:{follows.partition('.')[2]}"
        # A late answer is of use only where it makes a new caption.
        drop = self._settings.join.late == "drop"
        return _Built(
            ExpertStage(
                expert,
                self.store,
                self._codec,
                self._settings.kafka.prefix,
                decode=decoder(settings.decoder),
                memory=settings.picture_memory,
                requested=settings.provider,
                precision=settings.precision,
            ),
            self._records({follows: schema}),
            records_in_flight(self._settings.experts, in_flight),
            Passed(self._settings.kafka, name, "fusion") if drop else None,
        )

    def _records(self, schemas: dict[str, str]) -> TopicSource:
        full = {self._topics[name].name: schema for name, schema in schemas.items()}
        return TopicSource(full, self._codec)

    def _join(self) -> JoinSource:
        roster = self._settings.experts.roster
        return JoinSource(
            self._topics[topics.IMAGES].name,
            {name: self._topics[topics.priors(name)].name for name in roster},
            self._codec,
            window=self._settings.join.window,
            deadline=self._settings.join.deadline,
            keep_late=self._settings.join.late == "recaption",
        )

    def _incomplete(self) -> Incomplete | None:
        if self._settings.join.late != "recaption":
            return None
        return Incomplete(self.store, self._codec, self._topics[topics.CAPTIONS].name)

    def _dataset(self) -> Dataset:
        classes = expert_classes(self._settings.experts.roster, self._settings.experts.profile)
        return Dataset(
            self.store,
            self._codec,
            {name: expert.schema() for name, expert in classes.items()},
            self._settings.dataset,
            captions_topic=self._topics[topics.CAPTIONS].name,
            rejects_topic=self._topics[topics.REJECTS].name,
            images_log=log_id(self._topics[topics.IMAGES]),
            rejects_log=log_id(self._topics[topics.REJECTS]),
        )


def log_id(topic: Topic) -> str:
    """The topic's id (a UUID in base64, in either alphabet) as 12 hex digits, fit for a key."""
    return base64.urlsafe_b64decode(topic.log.translate(_URL_SAFE) + "==").hex()[-12:]
