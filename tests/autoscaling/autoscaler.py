"""What KEDA and the HorizontalPodAutoscaler (HPA) would decide, by their published algorithms. Pure.

Who calls it: the driver, at every poll. KEDA leads from no replicas to the minimum and back; between minimum
and maximum the HPA decides by the metric, its tolerance, the stabilisation windows and the policies.
"""

import math
from typing import Final

from tests.autoscaling.day import DAY_S, HOUR_S
from tests.autoscaling.scaled_object import Clock, Policy, Rules

TOLERANCE: Final = 0.1
"""The HPA's default: a metric within a tenth of its target changes nothing."""


def proposal(value: float, threshold: float, replicas: int) -> int:
    """The replicas that an AverageValue asks for."""
    if replicas and abs(1 - value / (threshold * replicas)) <= TOLERANCE:
        return replicas
    return math.ceil(value / threshold)


class Autoscaler:
    """Decides at growing times, in seconds of the day."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._recommended: list[tuple[float, int]] = []
        self._changes: list[tuple[float, int]] = []
        self._active_at = 0.0
        self._missing = 0

    def decide(self, now: float, value: float | None, replicas: int) -> int:
        """How many replicas there should be. `value` is the query's, None where it has none."""
        wanted = self._wanted(now, value, replicas)
        if wanted != replicas:
            self._changes.append((now, wanted - replicas))
        return wanted

    def _wanted(self, now: float, value: float | None, replicas: int) -> int:
        rules = self._rules
        if value is None:
            self._missing += 1
            return max(replicas, rules.fallback) if self._missing >= rules.failures else replicas
        self._missing = 0
        by_clock = rules.clock is not None and _is_on(rules.clock, now)
        if value > rules.activation or by_clock:
            self._active_at = now
        elif rules.idle is not None and now - self._active_at >= rules.cooldown:
            self._recommended.clear()
            return rules.idle
        if not replicas:  # the HPA does nothing about a Deployment of none
            return rules.minimum if self._active_at == now else 0
        asked = proposal(value, rules.threshold, replicas)
        if rules.clock is not None and by_clock:
            asked = max(asked, rules.clock.replicas)
        return self._limited(now, self._stabilised(now, self._bounded(asked), replicas), replicas)

    def _bounded(self, replicas: int) -> int:
        return min(max(replicas, self._rules.minimum), self._rules.maximum)

    def _stabilised(self, now: float, asked: int, replicas: int) -> int:
        """Up: to the least that was asked for in the window; down: to the most."""
        up, down = self._rules.up.window, self._rules.down.window
        self._recommended = [one for one in self._recommended if one[0] > now - max(up, down)]
        self._recommended.append((now, asked))
        least = min(count for at, count in self._recommended if at >= now - up)
        most = max(count for at, count in self._recommended if at >= now - down)
        return min(max(replicas, least), most)

    def _limited(self, now: float, wanted: int, replicas: int) -> int:
        """No further than a policy allows; of several the one that allows most."""
        rules = self._rules
        if wanted > replicas:
            most = max(self._before(now, one, replicas) + one.pods for one in rules.up.policies)
            return min(wanted, max(most, replicas))
        if wanted < replicas:
            least = min(self._before(now, one, replicas) - one.pods for one in rules.down.policies)
            return max(wanted, min(least, replicas))
        return replicas

    def _before(self, now: float, policy: Policy, replicas: int) -> int:
        """How many there were when the policy's period began."""
        return replicas - sum(change for at, change in self._changes if at > now - policy.period)


def _is_on(clock: Clock, now: float) -> bool:
    return clock.start <= now % DAY_S / HOUR_S < clock.end
