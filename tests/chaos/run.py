"""A run: everything up, the faults, the drain, the ledger."""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from deploy.kafka.cluster import KafkaCluster
from tests.chaos import pictures
from tests.chaos.autopsy import autopsy
from tests.chaos.feeding import Feed
from tests.chaos.injector import Injector
from tests.chaos.ledger import check
from tests.chaos.object_store import ChaosStore
from tests.chaos.reading import evidence
from tests.chaos.report import Report
from tests.chaos.rig import install_experts, make_all_topics, make_settings, workers_environment
from tests.chaos.schedule import BROKERS, LANES, Fault, schedule
from tests.chaos.server import PictureServer
from tests.chaos.supervisor import Supervisor
from tests.chaos.watching import Watch

log = logging.getLogger("chaos")

# Stages that share a process, so that a small machine can run two of each.
BUNDLES = {
    "fetch": ("fetch", "curate"),
    "experts": pictures.EXPERTS,
    "fusion": ("fusion",),
    "dataset": ("dataset",),
}
_AHEAD = 0.15  # share of the URLs that may wait in the stream: a backlog, but not all of them
_PATIENCE = 150.0  # seconds without any commit, after which a run is stuck
_QUIET = 3.0  # and at the end, so that what is there twice is seen


@dataclass(frozen=True, slots=True)
class Options:
    """What is asked of a run. `minutes`: after so many, nothing more is published or broken."""

    images: int
    faults: int
    seed: int
    folder: Path
    minutes: float | None = None
    partitions: int = 8
    workers: int = 2
    protocol: str = "classic"
    static: bool = False
    lanes: tuple[str, ...] = LANES

    def schedule(self) -> list[Fault]:
        return schedule(self.seed, self.faults, list(BUNDLES), self.workers, self.lanes)


def run(options: Options) -> Report:
    """Run it. The servers and workers end with the calling thread: the main one."""
    folder = options.folder
    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        packages = folder / "packages"
        install_experts(packages, Path(__file__).with_name("experts"))
        cluster = stack.enter_context(KafkaCluster(folder / "kafka", BROKERS))
        store = stack.enter_context(ChaosStore(folder / "store"))
        web = stack.enter_context(PictureServer(options.seed))
        settings = make_settings(
            cluster, store, web, pictures.EXPERTS, folder / "data",
            kafka={
                "partitions": options.partitions, "group_protocol": options.protocol,
                "static_membership": options.static,
            },
            # Shorter than a freeze: a request that was given up may still be done afterwards.
            store={"timeout": 4.0},
            dataset={"shard_offsets": 250},
        )  # fmt: skip
        found = make_all_topics(settings)
        identity = uuid.uuid4().hex
        watch = stack.enter_context(Watch(settings, identity, found))
        workers = workers_environment(settings, packages)
        supervisor = Supervisor(BUNDLES, workers, folder / "workers")
        stack.callback(supervisor.stop)
        for slot in range(options.workers):
            for bundle in BUNDLES:
                supervisor.start(f"{bundle}-{slot}")
        injector = Injector(
            options.schedule(), supervisor, cluster, store,
            progress=lambda: watch.ended / options.images,
        )  # fmt: skip
        urls = [web.url(number) for number in range(options.images)]

        def allowed() -> int:
            return int(options.images * min(1.0, injector.due + _AHEAD))

        feed = Feed(
            settings, identity, urls, allowed, lambda count: setattr(watch, "published", count)
        )
        stack.enter_context(feed)
        started = time.monotonic()
        stuck = asyncio.run(_Course(options, watch, feed, injector, supervisor).go())
        seconds = time.monotonic() - started
        if stuck is not None:
            stuck += "\n" + autopsy(settings, found.values(), workers, folder / "workers")
        log.info("%s after %.0f s; the workers leave", "stuck" if stuck else "drained", seconds)
        supervisor.stop()
        log.info("reading the evidence")
        expected = [
            pictures.expected(url, number, options.seed)
            for number, url in enumerate(urls[: feed.count])
        ]
        verdict = check(expected, evidence(settings, found, identity))
        return Report(
            options.seed, options.images, injector.done, options.faults, verdict,
            supervisor.exits, supervisor.starts, seconds, watch.longest, watch.longest_at, stuck,
            folder,
        )  # fmt: skip


class _Course:
    """From the first URL until all is drained, or it is certain that it will not be."""

    def __init__(
        self,
        options: Options,
        watch: Watch,
        feed: Feed,
        injector: Injector,
        supervisor: Supervisor,
    ) -> None:
        self._options = options
        self._watch = watch
        self._feed = feed
        self._injector = injector
        self._supervisor = supervisor

    async def go(self) -> str | None:
        """None, or why it is stuck."""
        faults = asyncio.create_task(self._injector.run())
        until = time.monotonic() + 60 * (self._options.minutes or 24 * 60)
        told = 0.0
        try:
            while True:
                await asyncio.sleep(0.2)
                self._supervisor.check()
                if time.monotonic() - told > 15:
                    told = time.monotonic()
                    self._tell()
                if time.monotonic() > until and not faults.done():
                    log.warning("the time is up: no more URLs, no more faults")
                    return await self._cut_short(faults)
                if faults.done():
                    faults.result()
                if (why := self._stuck()) is not None:
                    return why
                if faults.done() and self._drained():
                    return None
        finally:
            faults.cancel()
            await asyncio.gather(faults, return_exceptions=True)

    async def _cut_short(self, faults: asyncio.Task[None]) -> str | None:
        await asyncio.to_thread(self._feed.stop)
        self._injector.stop()
        while (why := self._stuck()) is None and not (faults.done() and self._drained()):
            await asyncio.sleep(0.2)
            self._supervisor.check()
        return why

    def _drained(self) -> bool:
        watch = self._watch
        all_in = self._feed.done and watch.ended >= self._feed.count
        return all_in and watch.stored and watch.silent > _QUIET

    def _stuck(self) -> str | None:
        for error in (self._feed.error, self._watch.error):
            if error is not None:
                return repr(error)
        if self._watch.silent > _PATIENCE:
            return f"nothing was committed for {_PATIENCE:.0f} s"
        return None

    def _tell(self) -> None:
        watch, seen = self._watch, self._watch.counts.seen
        log.info(
            "%.0f s: published %d, %s; ended %d, faults %d, silent %.1f s, exits %d",
            time.monotonic() - watch.started, self._feed.count,
            ", ".join(f"{topic.removeprefix('priors.')} {seen[topic]}" for topic in sorted(seen)),
            watch.ended, self._injector.done.total(), watch.silent, len(self._supervisor.exits),
        )  # fmt: skip
