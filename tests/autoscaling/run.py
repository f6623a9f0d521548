"""A run: brokers, store, workers at their minimum; a burst; until it has drained and shrunk."""

from __future__ import annotations

import logging
import time
import uuid
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from confluent_kafka import KafkaException

from densefusion import clients, topics
from densefusion.errors import BrokerError
from densefusion.settings import Settings
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
from tests.chaos.rig import install_experts, make_all_topics, make_settings, workers_environment
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
        packages = folder / "packages"
        install_experts(
            packages, *(ROOT / "tests" / n / "experts" for n in ("chaos", "autoscaling"))
        )
        cluster = stack.enter_context(KafkaCluster(folder / "kafka", options.brokers))
        store = stack.enter_context(ChaosStore(folder / "store"))
        web = stack.enter_context(PictureServer(options.seed))
        settings = make_settings(
            cluster, store, web, ROSTER, folder / "data", kafka={"partitions": options.partitions}
        )
        found = make_all_topics(settings)
        identity = uuid.uuid4().hex
        cluster.wait_ready()  # topics that are new may have no leader yet
        watch = stack.enter_context(_watch(settings, identity, found))
        surroundings = workers_environment(settings, packages)
        surroundings["AUTOSCALING_DEVICE_SECONDS"] = str(options.device_seconds)
        supervisor = Supervisor(
            {each.name: each.stages for each in wanted}, surroundings, folder / "workers"
        )
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
