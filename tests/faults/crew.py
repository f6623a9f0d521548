"""Worker processes of a fault test: started, frozen, killed, and their journals and logs read."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from densefusion.processes import tail
from densefusion.settings import Settings
from tests.faults.passing_worker import Task, run_worker

# Forked from a process that has imported everything and done nothing else: a worker starts at once.
_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(["tests.faults.passing_worker"])


@dataclass(frozen=True, slots=True)
class Event:
    """A line of a worker's journal."""

    what: str
    topic: str
    partition: int
    offset: int


class Member:
    """One worker process. `name` is its instance name; `label` names its files."""

    def __init__(self, settings: Settings, folder: Path, name: str, label: str, task: Task) -> None:
        self.name = name
        self.label = label
        self.log_file = folder / f"{label}.log"
        self._journal = folder / f"{label}.journal"
        self.log_file.touch()
        worker = settings.worker.model_copy(update={"instance": name})
        settings = settings.model_copy(update={"worker": worker})
        self.process = _FORKS.Process(
            target=run_worker, args=(settings, task, self._journal, self.log_file)
        )
        self.process.start()

    def code(self) -> int | None:
        """Its exit code; None while it is there."""
        return self.process.exitcode

    def send(self, number: signal.Signals) -> None:
        if self.process.pid is not None and self.code() is None:
            os.kill(self.process.pid, number)

    def freeze(self) -> None:
        self.send(signal.SIGSTOP)

    def thaw(self) -> None:
        self.send(signal.SIGCONT)

    def frozen(self) -> bool:
        """Whether it is stopped now (and has not ended)."""
        stat = Path(f"/proc/{self.process.pid}/stat").read_text("ascii")
        return stat.rpartition(")")[2].split()[0] == "T"

    def log(self) -> str:
        return self.log_file.read_text("utf-8", "replace")

    def events(self, *what: str) -> list[Event]:
        """Its journal, or those lines of it."""
        try:
            lines = self._journal.read_text("ascii").splitlines()
        except FileNotFoundError:
            return []
        events = [Event(w, t, int(p), int(o)) for w, t, p, o in map(str.split, lines)]
        return [each for each in events if not what or each.what in what]

    def holds(self) -> set[int]:
        """Numbers of the partitions it has, by its journal."""
        held: set[int] = set()
        for event in self.events("assigned", "revoked"):
            (held.add if event.what == "assigned" else held.discard)(event.partition)
        return held

    async def ended(self, seconds: float = 30) -> int:
        """Its exit code, once it has ended."""
        await until(lambda: self.code() is not None, seconds, f"{self.label} to end", self)
        code = self.code()
        assert code is not None
        return code

    async def leave(self) -> None:
        """SIGTERM, and gone in order."""
        self.send(signal.SIGTERM)
        code = await self.ended()
        assert code == 0, f"{self.label} ended with {code}:\n{tail(self.log_file)}"


class Crew:
    """The workers of one group. All are gone when the context ends."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        self._settings = settings
        self._folder = folder
        self.members: list[Member] = []
        folder.mkdir(parents=True, exist_ok=True)

    def join(self, name: str, *, work: float = 0.0, store: bool = False, stop: str = "") -> Member:
        """Start a worker; one of a name that was there before goes on in its place.

        Args:
            stop: ``produced:3`` freezes it in its third transaction, after it has produced
                everything; ``offsets:3`` after it has sent the offsets as well.
        """
        again = sum(member.name == name for member in self.members)
        label = f"{name}.{again}" if again else name
        member = Member(self._settings, self._folder, name, label, Task(work, store, stop))
        self.members.append(member)
        return member

    def times_begun(self) -> Counter[tuple[int, int]]:
        """How often work on each record, by partition and offset, has begun anywhere."""
        return Counter(
            (event.partition, event.offset)
            for member in self.members
            for event in member.events("began")
        )

    def __enter__(self) -> Crew:
        return self

    def __exit__(self, *error: object) -> None:
        for member in self.members:
            if member.code() is None:
                member.process.kill()  # frozen ones, too
                member.process.join(10)


async def until(
    condition: Callable[[], bool], seconds: float, what: str, *members: Member
) -> float:
    """Wait for `condition`; the seconds that it took. Tells the ends of the logs where it fails."""
    started = time.monotonic()
    while not condition():
        if time.monotonic() - started > seconds:
            for member in members:  # those that hang say where
                member.send(signal.SIGUSR1)
            await asyncio.sleep(0.5)
            logs = "".join(f"\n--- {each.label}\n{tail(each.log_file, 60)}" for each in members)
            raise AssertionError(f"waited {seconds:.0f} s for {what}{logs}")
        await asyncio.sleep(0.05)
    return time.monotonic() - started
