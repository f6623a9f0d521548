"""Real workers, more or fewer of them, by the chaos program's supervisor."""

from __future__ import annotations

from tests.chaos.supervisor import Supervisor


class ProcessFleet:
    """``densefusion worker`` processes, named ``<target>-<slot>``. Call it from the main thread."""

    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor
        self._leaving: set[str] = set()

    def resize(self, target: str, size: int) -> None:
        """Start workers in the lowest slots that are free, or send those in the highest away."""
        staying = self._staying(target)
        for name in staying[size:]:
            self._supervisor.send_away(name)
            self._leaving.add(name)
        slot = 0
        for _ in range(size - len(staying)):
            while f"{target}-{slot}" in self._supervisor:  # one that leaves still has its slot
                slot += 1
            self._supervisor.start(f"{target}-{slot}")

    def tidy(self) -> None:
        """Note those that have left; start again what ended by itself."""
        for name in [each for each in self._leaving if self._supervisor.gone(each)]:
            self._supervisor.forget(name)
            self._leaving.discard(name)
        self._supervisor.check()

    def _staying(self, target: str) -> list[str]:
        names = [
            name
            for name in self._supervisor.names()
            if name.rpartition("-")[0] == target and name not in self._leaving
        ]
        return sorted(names, key=lambda name: int(name.rpartition("-")[2]))
