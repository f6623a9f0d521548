"""What a record comes to: outputs, a reject, or a dead letter."""

from __future__ import annotations

from consumers.outputs import Outputs
from consumers.source import Arrival
from consumers.stage import Rejected, Stage
from consumers.traces import Traces
from consumers.transaction import Outgoing
from densefusion.errors import DependencyError


class Outcomes:
    """Has a stage process records, one call for each.

    Args:
        traces: makes the spans of the records, where this process is traced.
    """

    def __init__(self, stage: Stage, outputs: Outputs, traces: Traces | None = None) -> None:
        self._stage = stage
        self._outputs = outputs
        self._traces = traces
        self._breaks_on: frozenset[str] = getattr(stage, "breaks_on", frozenset())

    async def of(self, arrival: Arrival) -> tuple[list[Outgoing], str]:
        """What to publish, and, of a record that counts as given up, why.

        Raises:
            DependencyError: something that the stage needs is down; the record is not at fault.
        """
        if self._traces is not None:
            self._traces.begin(arrival)
        try:
            try:  # one coroutine for both: it runs for every record
                if arrival.record is None:
                    assert arrival.error is not None
                    raise arrival.error
                if arrival.trace is None:
                    emits = await self._stage.process(arrival.record)
                else:
                    with arrival.trace.current():
                        emits = await self._stage.process(arrival.record)
                return self._outputs.emitted(emits, arrival), ""
            except Rejected as rejected:
                death = rejected.reason if rejected.reason in self._breaks_on else ""
                return self._outputs.rejected(rejected, arrival), death
        except DependencyError as error:
            if arrival.trace is not None:
                arrival.trace.died(error)
            raise
        except Exception as error:  # the record is at fault: it must neither stop us nor loop
            return self._outputs.dead_letter(error, arrival), repr(error)[:200]
        finally:
            if arrival.trace is not None:
                arrival.trace.worked()
