"""The faults that FAL and its network show, switched on by rate, for the next N requests, or for one request.

Used by the queue, file and lookup routes, which ask the plan at the moment a fault can act. A submit may
meet at most one fault at the *door* and its generation at most one *fate*; both are drawn when the submit
arrives, so that "the next N" counts submits in the order in which they came.

====================  =======================================================  ====================
kind                  acts at                                                  is the submit accepted?
====================  =======================================================  ====================
drop_after_accept     submit: the connection is closed without a reply         yes
hang                  submit: the connection stays open without a reply        yes
malformed             submit: 200 with JSON that breaks off                    yes
nginx_502, nginx_503  submit: nginx's page, no x-fal-request-id                no
429                   submit: too many requests                                no
401                   submit: the key is not valid                             no
locked                submit: 403 "User is locked. Reason: …"                  no
runner_503            result: 503 runner_connection_error, after the latency   yes
500                   result: 500 internal_error, after the latency            yes
422                   result: a list of model errors, after the latency        yes
504                   never starts; after the latency COMPLETED, result 504    yes
                      with x-fal-request-timeout-type: user
requeue               half way IN_PROGRESS goes back to IN_QUEUE, once         yes
result_expired        result: 404 although COMPLETED                           yes
model_truncated       the model file ends half way                             yes
model_missing         the model file is 404                                    yes
null_mesh             result: model_mesh null, the mesh in pbr_model           yes
cancel_ignored        cancel: 202, but the generation goes on                  (drawn at the cancel)
lookup_lag            by-endpoint answers as of some seconds ago               (drawn at the lookup)
lookup_blind          by-endpoint leaves out what is still queued              (drawn at the lookup)
====================  =======================================================  ====================

One request asks for a fault of its own by the header `X-Emulator-Fault` or the tag `emulator.fault`,
several kinds separated by `+`; then no other fault of the same group is drawn for it.
"""

from collections.abc import Iterable
from enum import StrEnum
from random import Random

import msgspec


class Fault(StrEnum):
    """Every kind, by the name that api.md promises."""

    DROP_AFTER_ACCEPT = "drop_after_accept"
    HANG = "hang"
    NGINX_502 = "nginx_502"
    NGINX_503 = "nginx_503"
    RUNNER_503 = "runner_503"
    TOO_MANY = "429"
    UNAUTHORIZED = "401"
    LOCKED = "locked"
    REQUEUE = "requeue"
    CANCEL_IGNORED = "cancel_ignored"
    RESULT_EXPIRED = "result_expired"
    MODEL_TRUNCATED = "model_truncated"
    MODEL_MISSING = "model_missing"
    NULL_MESH = "null_mesh"
    INVALID = "422"
    SERVER_ERROR = "500"
    START_TIMEOUT = "504"
    MALFORMED = "malformed"
    LOOKUP_LAG = "lookup_lag"
    LOOKUP_BLIND = "lookup_blind"


REFUSALS = frozenset({Fault.NGINX_502, Fault.NGINX_503, Fault.TOO_MANY, Fault.UNAUTHORIZED, Fault.LOCKED})
DOOR = REFUSALS | {Fault.DROP_AFTER_ACCEPT, Fault.HANG, Fault.MALFORMED}
FATE = frozenset(
    {
        Fault.RUNNER_503,
        Fault.SERVER_ERROR,
        Fault.INVALID,
        Fault.START_TIMEOUT,
        Fault.REQUEUE,
        Fault.RESULT_EXPIRED,
        Fault.MODEL_TRUNCATED,
        Fault.MODEL_MISSING,
        Fault.NULL_MESH,
    }
)


class FaultRule(msgspec.Struct):
    """One switch: either a `rate` of 0 to 1, or a `count` that goes down as it is used."""

    kind: Fault
    rate: float | None = None
    count: int | None = None

    def __post_init__(self) -> None:
        if (self.rate is None) == (self.count is None):
            raise ValueError("give exactly one of rate and count")
        if self.rate is not None and not 0 <= self.rate <= 1:
            raise ValueError(f"rate must be between 0 and 1, not {self.rate}")
        if self.count is not None and self.count < 0:
            raise ValueError(f"count must not be negative, not {self.count}")


def parse_faults(text: str) -> frozenset[Fault]:
    """The kinds in `a+b`. Raises ValueError that names the kinds there are."""
    try:
        return frozenset(Fault(kind) for kind in text.split("+") if kind)
    except ValueError as error:
        raise ValueError(f"{error}; the kinds are {', '.join(Fault)}") from None


class FaultPlan:
    """The rules now in force."""

    def __init__(self, rules: Iterable[FaultRule] = (), seed: int | None = None) -> None:
        self._random = Random(seed)  # noqa: S311 - repeatable faults, no secret
        self._rules: list[FaultRule] = []
        for rule in rules:
            self.add(rule)

    def rules(self) -> list[FaultRule]:
        """The rules in force, counts as far as they are left."""
        return list(self._rules)

    def add(self, rule: FaultRule) -> None:
        """Switch one on; a rule of the same kind and sort (rate or count) is replaced."""
        by_rate = rule.rate is not None
        kept = [r for r in self._rules if r.kind != rule.kind or (r.rate is not None) != by_rate]
        self._rules = [*kept, FaultRule(rule.kind, rule.rate, rule.count)]

    def clear(self) -> None:
        """Switch everything off."""
        self._rules = []

    def draw(self, group: frozenset[Fault], asked: frozenset[Fault] = frozenset()) -> Fault | None:
        """The fault of this group that the present request meets, if any; `asked` for goes first."""
        for kind in asked & group:
            return kind
        for rule in self._rules:
            if rule.kind in group and self._hits(rule):
                return rule.kind
        return None

    def _hits(self, rule: FaultRule) -> bool:
        if rule.rate is not None:
            return self._random.random() < rule.rate
        if rule.count is None or rule.count <= 0:
            return False
        rule.count -= 1
        if rule.count == 0:
            self._rules.remove(rule)
        return True
