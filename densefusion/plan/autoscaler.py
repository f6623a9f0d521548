"""What KEDA's Kafka scaler and Kubernetes' Horizontal Pod Autoscaler decide, as pure functions of
time, offsets and replicas. The simulation and `tests/autoscaling` run on the same rules.

Sources: KEDA 2.17, ``pkg/scalers/kafka_scaler.go`` (`getTotalLag`, `getLagForPartition`,
`getProducerOffsets`) and https://keda.sh/docs/latest/concepts/scaling-deployments/; Kubernetes'
``pkg/controller/podautoscaler`` (`GetExternalPerPodMetricReplicas`, `stabilizeRecommendation`) and
https://kubernetes.io/docs/tasks/run-application/horizontal-pod-autoscale/.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

NO_OFFSET = -1  # committed by a group that has committed nothing yet
Offsets = Mapping[int, tuple[int, int]]  # partition -> (committed, end)


@dataclass(frozen=True, slots=True)
class Rules:
    """A ScaledObject. Defaults are KEDA's and the HPA's own, in seconds.

    Attributes:
        lag_threshold: KEDA's ``lagThreshold``: records of lag for each replica.
        activation_lag: ``activationLagThreshold``: more than this wakes a stage from zero.
        minimum: ``minReplicaCount``; with 0 the stage sleeps after `cooldown` without activity.
        maximum: ``maxReplicaCount``; partitions cap it too (``allowIdleConsumers: false``).
        combine: of several triggers' lags, which counts: the largest, as the HPA does, or the
            smallest (``scalingModifiers.formula``). A join can go on only with what *all* of its
            topics have: on the largest it would grow while it waits for a slow expert.
        exclude_persistent: ``excludePersistentLag``: a partition whose committed offset has not
            moved since the last look counts nothing towards scaling (but still towards activity).
        polling: ``pollingInterval``, how often activity is looked at.
        sync: how often the HPA looks (``--horizontal-pod-autoscaler-sync-period``).
        cooldown: ``cooldownPeriod``, from the last activity to zero.
        stabilisation: of scale-in, ``scaleDown.stabilizationWindowSeconds``.
        tolerance: the HPA leaves a ratio alone that is this close to 1.
        growth, growth_pods: at most so many times the replicas, or so many more, in a
            `growth_period`.
    """

    lag_threshold: int
    activation_lag: int = 0
    minimum: int = 1
    maximum: int = 100
    combine: Literal["max", "min"] = "max"
    exclude_persistent: bool = False
    polling: float = 30.0
    sync: float = 15.0
    cooldown: float = 300.0
    stabilisation: float = 300.0
    tolerance: float = 0.1
    growth: float = 2.0
    growth_pods: int = 4
    growth_period: float = 15.0


class LagReader:
    """KEDA's sum over the partitions of one topic, for one group.

    The end is the last offset that a reader of *uncommitted* records would see, transaction markers
    included: KEDA asks with version 1 of ListOffsets, which knows no isolation level. A worker
    commits the offset after its last record, before the marker, so a topic written in transactions
    keeps a lag of one on each partition for ever (kedacore/keda#5675).
    """

    def __init__(self, exclude_persistent: bool = False) -> None:
        self._exclude = exclude_persistent
        self._before: dict[int, int] = {}

    def read(self, offsets: Offsets) -> tuple[int, int]:
        """(lag that scales, lag that activates) now. A group without an offset counts as KEDA's
        ``offsetResetPolicy: earliest`` does: everything on the partition."""
        scaling = activating = 0
        for partition, (committed, end) in offsets.items():
            lag = end if committed == NO_OFFSET else end - committed
            activating += lag
            stands = self._exclude and self._before.get(partition) == committed != NO_OFFSET
            scaling += 0 if stands else lag
            self._before[partition] = committed
        return scaling, activating


def capped(lag: int, threshold: int, partitions: int) -> int:
    """The lag that KEDA tells the HPA: no more than keeps every partition's one replica busy."""
    return partitions * threshold if lag // threshold > partitions else lag


def desired(lag: int, threshold: int, replicas: int, tolerance: float = 0.1) -> int:
    """The HPA's answer for a metric of the type AverageValue; `lag` as KEDA tells it."""
    if replicas > 0 and abs(lag / (threshold * replicas) - 1) <= tolerance:
        return replicas
    return math.ceil(lag / threshold)


class Autoscaler:
    """The replicas of one stage over time. Call `decide` as often as you like; it keeps the
    periods of its rules itself.

    Args:
        partitions: of each topic that the stage reads.
    """

    def __init__(self, rules: Rules, partitions: int) -> None:
        self.rules = rules
        self._partitions = partitions
        self._wanted: deque[tuple[float, int]] = deque()  # falling: the first is the window's most
        self._started: deque[tuple[float, int]] = deque()  # replicas before each growth
        self._synced = self._polled = -math.inf
        self._active_at = -math.inf
        self._active = False

    def decide(
        self, now: float, scaling: Sequence[int], activating: Sequence[int], replicas: int
    ) -> int:
        """The replicas that there should be.

        Args:
            now: seconds, of any clock that does not go back.
            scaling, activating: lags of each trigger; see `LagReader.read`.
            replicas: asked for so far, whether they are up already or not.
        """
        rules = self.rules
        if now - self._polled >= rules.polling:
            self._polled = now
            self._active = self._combined(activating) > rules.activation_lag
            if self._active or self._active_at == -math.inf:
                self._active_at = now
        if replicas == 0:  # KEDA's own part: the HPA does not act on a target of zero
            return max(1, rules.minimum) if self._active or rules.minimum else 0
        if rules.minimum == 0 and not self._active and now - self._active_at >= rules.cooldown:
            self._wanted.clear()
            return 0
        if now - self._synced < rules.sync:
            return replicas
        self._synced = now
        told = [capped(lag, rules.lag_threshold, self._partitions) for lag in scaling]
        wanted = desired(self._combined(told), rules.lag_threshold, replicas, rules.tolerance)
        return self._bounded(now, self._stable(now, wanted), replicas)

    def _combined(self, lags: Sequence[int]) -> int:
        return max(lags) if self.rules.combine == "max" else min(lags)

    def _stable(self, now: float, wanted: int) -> int:
        """The largest wish of the stabilisation window, which only scale-in has by default."""
        while self._wanted and self._wanted[-1][1] <= wanted:
            self._wanted.pop()
        self._wanted.append((now, wanted))
        while self._wanted[0][0] < now - self.rules.stabilisation:
            self._wanted.popleft()
        return self._wanted[0][1]

    def _bounded(self, now: float, most_wanted: int, replicas: int) -> int:
        rules = self.rules
        latest = self._wanted[-1][1]
        if latest > replicas:
            wanted = min(latest, self._growth_limit(now, replicas))
        else:
            wanted = min(replicas, most_wanted)
        wanted = max(rules.minimum, 1, min(wanted, rules.maximum, self._partitions))
        if wanted > replicas:
            self._started.append((now, replicas))
        return wanted

    def _growth_limit(self, now: float, replicas: int) -> int:
        rules = self.rules
        while self._started and self._started[0][0] <= now - rules.growth_period:
            self._started.popleft()
        before = self._started[0][1] if self._started else replicas
        return max(math.ceil(before * rules.growth), before + rules.growth_pods)
