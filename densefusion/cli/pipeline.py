"""The whole stream on this machine: stack (if none is named), topics, bucket, workers."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from densefusion.cli.connect import announce, is_external, withdraw
from densefusion.errors import BrokerError, SettingsError
from densefusion.logs import hide
from densefusion.redact import secrets
from densefusion.resume import resume
from densefusion.settings import Settings, environment
from densefusion.stack import EmbeddedStack
from densefusion.topics import Topic
from densefusion.workers import TARGETS, Workers


@dataclass(slots=True)
class Pipeline:
    """What runs. `settings` point at it."""

    settings: Settings
    topics: dict[str, Topic]
    workers: Workers
    stack: EmbeddedStack | None

    def check(self) -> None:
        """Start dead workers again.

        Raises:
            WorkersFailed: one cannot be kept running.
            BrokerError: a server of the embedded stack has died.
        """
        if self.stack is not None and (death := self.stack.death()) is not None:
            raise BrokerError(death)
        self.workers.check()


def counts(given: list[str]) -> dict[str, int]:
    """``["ocr=2"]`` as a mapping. Raises `SettingsError`."""
    found: dict[str, int] = {}
    for each in given:
        stage, _, number = each.partition("=")
        if not number.isdecimal():
            raise SettingsError(f"--workers {each}: say STAGE=NUMBER, such as ocr=2")
        found[stage] = int(number)
    return found


@contextmanager
def pipeline(settings: Settings, workers: dict[str, int], *, durable: bool) -> Iterator[Pipeline]:
    """Everything up; on the way out the workers finish what they have, then the stack stops.

    Args:
        durable: whether the embedded broker's topics survive.
        workers: processes of a stage, where it is not the default; 0 for none.
    """
    from consumers.roster import default_workers, make_topics, registered, stage_names
    from densefusion.store import ObjectStore
    from densefusion.topics import all_topics

    registered(settings.experts.roster)  # a wrong name is told before anything starts
    names = stage_names(settings)
    unknown = sorted(set(workers) - set(names))
    if unknown:
        raise SettingsError(f"no stage named {', '.join(unknown)}; there are {', '.join(names)}")
    with ExitStack() as stack:
        embedded = None
        if not is_external(settings):
            print(f"starting a broker and an object store on {settings.data_dir}", file=sys.stderr)
            embedded = stack.enter_context(
                EmbeddedStack(settings.data_dir, bucket=settings.store.bucket, durable=durable)
            )
            settings = embedded.apply(settings)
            hide(secrets(settings))
            announce(settings, embedded)
            stack.callback(withdraw, settings)
        store = ObjectStore(settings.store)
        store.make_bucket()
        if settings.kafka.volatile:
            resume(store)
        store.close()
        client = make_topics(settings)
        wanted = all_topics(settings.experts.roster)
        client.create(wanted)
        found = client.verify(wanted)
        counted = default_workers(settings) | workers
        stages = [name for name in names for _ in range(counted[name])]
        folder = settings.data_dir
        processes = Workers(stages, environment(settings), folder / "logs", folder / TARGETS)
        stack.callback(processes.stop)
        processes.start()
        yield Pipeline(settings, found, processes, embedded)
