"""A run: brokers, store, workers at their minimum; a burst; until it has drained and shrunk."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import time
import uuid
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from confluent_kafka import KafkaException
from pydantic import SecretStr

from consumers.roster import make_topics
from densefusion import clients, topics
from densefusion.errors import BrokerError
from densefusion.settings import Settings, environment
from densefusion.topics import Topic
from deploy.kafka.cluster import KafkaCluster
from tests.autoscaling.lag import BrokerLag
from tests.autoscaling.loop import Loop
from tests.autoscaling.report import Progress, Report
from tests.autoscaling.targets import ROSTER, targets
from tests.autoscaling.workers import ProcessFleet
from tests.chaos import pictures
from tests.chaos.feeding import Feed
from tests.chaos.ledger import check
from tests.chaos.object_store import ChaosStore
from tests.chaos.reading import evidence
from tests.chaos.server import PictureServer
from tests.chaos.supervisor import ROOT, Supervisor
from tests.chaos.watching import Watch

log = logging.getLogger("autoscaling")
_KNOWN_SECONDS = 60.0
_QUIET = 2  # looks at the minimum before the end


@dataclass(frozen=True, slots=True)
class Options:
    """What is asked of a run.

    Attributes:
        device_seconds: of one image, on the device of one worker.
        most: workers of the device.
        quick: short times, for a test.
        seconds: after so many it is given up.
    """

    images: int
    folder: Path
    brokers: int = 3
    partitions: int = 8
    device_seconds: float = 0.1
    most: int = 8
    quick: bool = False
    seconds: float = 900.0
    seed: int = 1


def run(options: Options) -> Report:
    """Run it. The servers and workers end with the calling thread: the main one."""
    folder = options.folder
    folder.mkdir(parents=True, exist_ok=True)
    wanted = targets(options.device_seconds, options.most, quick=options.quick)
    with ExitStack() as stack:
        packages = _install(folder)
        cluster = stack.enter_context(KafkaCluster(folder / "kafka", options.brokers))
        store = stack.enter_context(ChaosStore(folder / "store"))
        web = stack.enter_context(PictureServer(options.seed))
        settings = _settings(options, cluster, store, web)
        client = make_topics(settings)
        client.create(topics.all_topics(ROSTER))
        found = client.verify(topics.all_topics(ROSTER))
        identity = uuid.uuid4().hex
        cluster.wait_ready()  # topics that are new may have no leader yet
        watch = stack.enter_context(_watch(settings, identity, found))
        supervisor = Supervisor(
            {each.name: each.stages for each in wanted},
            _environment(settings, packages, options), folder / "workers",
        )  # fmt: skip
        stack.callback(supervisor.stop)
        lag = BrokerLag(clients.common(settings.kafka), options.partitions)
        fleet = ProcessFleet(supervisor)
        loop = Loop(wanted, options.partitions, lag.read, fleet, time.monotonic)
        urls = [web.url(number) for number in range(options.images)]
        course = _Course(options, loop, fleet, lag, watch)
        feed = Feed(
            settings, identity, urls, lambda: len(urls) if course.burst else 0,
            lambda count: setattr(watch, "published", count),
        )  # fmt: skip
        stack.enter_context(feed)
        stuck = course.go(feed)
        supervisor.stop()
        log.info("reading the evidence")
        left = {
            f"{at.group} on {at.topic}": [end - done for done, end in offsets.values()]
            for at, offsets in lag.read(t for each in wanted for t in each.triggers).items()
        }
        expected = [
            pictures.expected(url, number, options.seed)
            for number, url in enumerate(urls[: feed.count])
        ]
        verdict = check(expected, evidence(settings, found, identity))
        return Report(
            options.images, options.device_seconds, wanted, loop.samples, course.progress,
            course.burst_at, course.drained_at, verdict, supervisor.exits, left, stuck,
        )  # fmt: skip


def _watch(settings: Settings, run_id: str, found: dict[str, Topic]) -> Watch:
    """A broker that is asked may not have heard yet who leads a topic that is new."""
    until = time.monotonic() + _KNOWN_SECONDS
    while True:
        try:
            return Watch(settings, run_id, found)
        except BrokerError:
            if time.monotonic() > until:
                raise
            time.sleep(0.5)


class _Course:
    """From idle through the burst to idle."""

    def __init__(
        self, options: Options, loop: Loop, fleet: ProcessFleet, lag: BrokerLag, watch: Watch
    ) -> None:
        self._options = options
        self._loop = loop
        self._fleet = fleet
        self._lag = lag
        self._watch = watch
        self._began = 0.0
        self.burst = False
        self.burst_at = self.drained_at = 0.0
        self.progress: list[Progress] = []

    def go(self, feed: Feed) -> str | None:
        """None, or why it did not come to its end."""
        self._loop.start()
        self._began = time.monotonic()
        every = self._loop.targets[0].rules.sync
        looked = -every
        quiet_since: float | None = None
        while True:
            time.sleep(0.1)
            self._fleet.tidy()
            now = time.monotonic() - self._began
            for error in (feed.error, self._watch.error):
                if error is not None:
                    return repr(error)
            if now > self._options.seconds:
                return f"not at its end after {now:.0f} s"
            if now - looked < every:
                continue
            looked = now
            try:
                self._look(now)
            except (KafkaException, TimeoutError) as error:
                log.warning("no lag this time: %s", error)
                continue
            if not self.burst:
                self._begin(now)
            elif not self.drained_at:
                self._drained(now, feed)
            elif not self._loop.at_minimum:
                quiet_since = None
            elif quiet_since is None:
                quiet_since = now
            elif now - quiet_since >= _QUIET * every:
                return None

    def _look(self, now: float) -> None:
        sample = self._loop.step()
        members = {each.name: self._lag.members(each.stages[0]) for each in self._loop.targets}
        seen = self._watch.counts.seen
        self.progress.append(
            Progress(now, members, self._watch.ended, seen[topics.priors("device")])
        )
        log.info(
            "%.0f s: lag %s, workers %s, device has %d, ended %d", now, sample.lags, sample.asked,
            members["device"], self._watch.ended,
        )  # fmt: skip

    def _begin(self, now: float) -> None:
        """The burst comes when every group has its first worker; in a test, at once."""
        if self._options.quick or all(self.progress[-1].members.values()):
            self.burst, self.burst_at = True, now
            log.info("burst: %d images", self._options.images)

    def _drained(self, now: float, feed: Feed) -> None:
        ended = feed.done and self._watch.ended >= feed.count == self._options.images
        if ended and self._watch.stored:
            self.drained_at = now
            log.info("drained after %.0f s", now - self.burst_at)


def _install(folder: Path) -> Path:
    """The experts' packages, in a folder of their own; from now on we find them too."""
    target = folder / "packages"
    packages = [ROOT / "tests" / name / "experts" for name in ("chaos", "autoscaling")]
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index",
         "--no-build-isolation", "--target", target, *packages],
        check=True, timeout=120,
    )  # fmt: skip
    if str(target) not in sys.path:
        sys.path.insert(0, str(target))
    return target


def _settings(
    options: Options, cluster: KafkaCluster, store: ChaosStore, web: PictureServer
) -> Settings:
    settings = Settings(_env_file=None)  # type: ignore[call-arg]
    kafka = {
        "bootstrap": cluster.bootstrap, "partitions": options.partitions,
        "replication": cluster.replication,
    }  # fmt: skip
    where = {
        "endpoint": store.endpoint, "bucket": store.bucket, "region": store.region,
        "secure": False, "access_key": SecretStr(store.access_key),
        "secret_key": SecretStr(store.secret_key),
    }  # fmt: skip
    fetch = {
        "min_short_edge": pictures.MIN_SHORT_EDGE, "allow_hosts": [web.host], "backoff": 0.2,
        # A server on two busy cores may be slow; it is not to blame.
        "attempts": 8, "read_timeout": 60.0, "total_timeout": 120.0, "connect_timeout": 60.0,
    }  # fmt: skip
    return settings.model_copy(
        update={
            "kafka": settings.kafka.model_copy(update=kafka),
            "store": settings.store.model_copy(update=where),
            "fetch": settings.fetch.model_copy(update=fetch),
            "experts": settings.experts.model_copy(update={"roster": list(ROSTER)}),
            "join": settings.join.model_copy(update={"deadline": 900.0}),
            "data_dir": options.folder / "data",
        }
    )


def _environment(settings: Settings, packages: Path, options: Options) -> dict[str, str]:
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("DENSEFUSION_")}
    path = os.pathsep.join([str(packages), str(ROOT)])
    ours = {"PYTHONPATH": path, "AUTOSCALING_DEVICE_SECONDS": str(options.device_seconds)}
    return {**inherited, **environment(settings), **ours}
