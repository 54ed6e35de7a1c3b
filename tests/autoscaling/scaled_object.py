"""The ScaledObject of docker/kubernetes as the rules by which the autoscaler decides. None is repeated here.

Who calls it: the driver. With `nights`, the component's patch is applied, as kustomize would: a test that
needs no cluster needs no kubectl either.
"""

from typing import Any, Final

import msgspec
import yaml

from tests.support.kubernetes import KUBERNETES, base, of_kind, pods

_DEFAULT_COOLDOWN_S: Final = 300.0
"""KEDA's own, where the ScaledObject says nothing."""
_DEFAULT_POLLING_S: Final = 30.0


class Policy(msgspec.Struct, frozen=True):
    """No more than so many pods in so many seconds."""

    pods: int
    period: float


class Behaviour(msgspec.Struct, frozen=True):
    """Of one direction: `window` is the stabilisation window in seconds."""

    window: float
    policies: tuple[Policy, ...]


class Clock(msgspec.Struct, frozen=True):
    """KEDA's cron trigger: active from one full hour of the day to another."""

    start: int
    end: int
    replicas: int


class Rules(msgspec.Struct, frozen=True, kw_only=True):
    """All that decides. Times in seconds; `idle`: the replicas while no trigger is active, None: the minimum.

    `failures` values in a row that are missing make `fallback` replicas the least. `grace`: how long a worker
    may take to end.
    """

    query: str
    threshold: float
    activation: float
    minimum: int
    maximum: int
    polling: float
    cooldown: float
    idle: int | None
    failures: int
    fallback: int
    up: Behaviour
    down: Behaviour
    clock: Clock | None
    grace: float


def rules(*, nights: bool = False) -> Rules:
    """Those of the base, or of the base with the component `nights`."""
    spec = dict(of_kind(base(), "ScaledObject")["worker"]["spec"])
    spec["triggers"] = list(spec["triggers"])
    if nights:
        _apply_nights(spec)
    (trigger,) = [one for one in spec["triggers"] if one["type"] == "prometheus"]
    metadata, fallback = trigger["metadata"], spec["fallback"]
    behaviour = spec["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]
    assert trigger["metricType"] == "AverageValue"
    assert metadata["ignoreNullValues"] == "false"
    assert fallback["behavior"] == "currentReplicasIfHigher"
    return Rules(
        query=metadata["query"],
        threshold=float(metadata["threshold"]),
        activation=float(metadata["activationThreshold"]),
        minimum=spec["minReplicaCount"],
        maximum=spec["maxReplicaCount"],
        polling=spec.get("pollingInterval", _DEFAULT_POLLING_S),
        cooldown=spec.get("cooldownPeriod", _DEFAULT_COOLDOWN_S),
        idle=spec.get("idleReplicaCount"),
        failures=fallback["failureThreshold"],
        fallback=fallback["replicas"],
        up=_behaviour(behaviour["scaleUp"]),
        down=_behaviour(behaviour["scaleDown"]),
        clock=_clock(spec["triggers"]),
        grace=pods(base())["worker"]["spec"]["terminationGracePeriodSeconds"],
    )


def _apply_nights(spec: dict[str, Any]) -> None:
    component = yaml.safe_load((KUBERNETES / "components/nights/kustomization.yaml").read_text())
    (patch,) = component["patches"]
    assert patch["target"] == {"kind": "ScaledObject", "name": "worker"}
    for step in yaml.safe_load(patch["patch"]):
        name = step["path"].removeprefix("/spec/")
        assert step["op"] == "add", step
        if name == "triggers/-":
            spec["triggers"].append(step["value"])
        else:
            assert "/" not in name, step
            spec[name] = step["value"]


def _behaviour(given: dict[str, Any]) -> Behaviour:
    assert all(one["type"] == "Pods" for one in given["policies"])
    return Behaviour(
        window=given.get("stabilizationWindowSeconds", 0),
        policies=tuple(Policy(one["value"], one["periodSeconds"]) for one in given["policies"]),
    )


def _clock(triggers: list[dict[str, Any]]) -> Clock | None:
    found = [one["metadata"] for one in triggers if one["type"] == "cron"]
    if not found:
        return None
    (clock,) = found
    assert clock["timezone"] == "Etc/UTC"
    return Clock(_hour(clock["start"]), _hour(clock["end"]), int(clock["desiredReplicas"]))


def _hour(schedule: str) -> int:
    minute, hour, *rest = schedule.split()
    assert (minute, rest) == ("0", ["*", "*", "*"]), schedule
    return int(hour)
