"""The rules by which faults strike: by rate, for the next N requests, for one endpoint, or for one request.

Made from `--fault`, from `POST /_emulator/faults` and from what a single submit asks for; drawn from by the
routes. One request asks for faults of its own by the header `X-Emulator-Fault` or the tag `emulator.fault`,
`KIND` or `KIND=VALUE`, several separated by `+`; then no other fault of the same group is drawn for it.
"""

from collections.abc import Collection, Iterable, Mapping
from random import Random
from types import MappingProxyType

import msgspec

from fal_emulator.endpoints import ENDPOINTS
from fal_emulator.faults import KINDS, OF_GENERATION, Fault, Group, Value, checked_value, group_of

Faults = Mapping[Fault, Value]
"""The faults that one request meets, each with its value."""

NONE: Faults = MappingProxyType({})


class FaultRule(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """One switch: either a `rate` of 0 to 1, or a `count` that goes down as it is used.

    `value` as the kind takes it; `endpoint`: only for requests to the endpoint of this id.
    """

    kind: Fault
    rate: float | None = None
    count: int | None = None
    value: str | float | None = None
    endpoint: str | None = None

    def __post_init__(self) -> None:
        if (self.rate is None) == (self.count is None):
            raise ValueError("give exactly one of rate and count")
        if self.rate is not None and not 0 <= self.rate <= 1:
            raise ValueError(f"rate must be between 0 and 1, not {self.rate}")
        if self.count is not None and self.count < 0:
            raise ValueError(f"count must not be negative, not {self.count}")
        self.value = checked_value(self.kind, self.value)

    @property
    def group(self) -> Group:
        """Where it acts."""
        return group_of(self.kind, self.value)

    @property
    def replaces(self) -> tuple[Fault, str | None, bool]:
        """Two rules that have this in common are one and the same switch."""
        return self.kind, self.endpoint, self.rate is not None


def read_rule(text: str) -> FaultRule:
    """A rule out of `KIND[=RATE][@ENDPOINT]`, or `KIND[=VALUE[:RATE]][@ENDPOINT]` for a kind with a value.

    The rate is 1 where none is given. Raises ValueError.
    """
    head, _, endpoint = text.partition("@")
    name, equals, rest = head.partition("=")
    kind = _kind(name)
    value: str | None = None
    rate = rest
    if KINDS[kind].value is not None:
        value, _, rate = rest.partition(":")
    if equals and not rest:
        raise ValueError(f"nothing follows the = of {text!r}")
    rule = FaultRule(kind, rate=float(rate or "1"), value=value or None, endpoint=endpoint or None)
    return check_endpoint(rule, ENDPOINTS)


def check_endpoint(rule: FaultRule, known: Collection[str]) -> FaultRule:
    """The rule. Raises ValueError if it is for an endpoint that there is not."""
    if rule.endpoint is not None and rule.endpoint not in known:
        raise ValueError(f"endpoint must be one of {', '.join(known)}, not {rule.endpoint!r}")
    return rule


def parse_faults(text: str) -> Faults:
    """The kinds in `a+b=value`. Raises ValueError that names the kinds there are."""
    found: dict[Fault, Value] = {}
    for part in text.split("+"):
        name, _, value = part.partition("=")
        if name:
            kind = _kind(name)
            found[kind] = checked_value(kind, value or None)
    return found


def _kind(name: str) -> Fault:
    try:
        return Fault(name)
    except ValueError:
        raise ValueError(f"{name!r} is no kind of fault; the kinds are {', '.join(Fault)}") from None


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
        """Switch one on; a rule of the same kind, endpoint and sort (rate or count) is replaced."""
        kept = [one for one in self._rules if one.replaces != rule.replaces]
        self._rules = [*kept, msgspec.structs.replace(rule)]

    def clear(self) -> None:
        """Switch everything off."""
        self._rules = []

    def draw(
        self, group: Group, endpoint: str | None = None, asked: Faults = NONE, value: Value = None
    ) -> Faults:
        """The fault of this group that the present request meets: one, or none; `asked` for goes first.

        `value`: only rules that have it.
        """
        for kind, own in asked.items():
            if group_of(kind, own) is group:
                return {kind: own}
        for rule in self._rules:
            fits = rule.group is group and rule.endpoint in {None, endpoint} and value in {None, rule.value}
            if fits and self._hits(rule):
                return {rule.kind: rule.value}
        return {}

    def draw_generation(self, endpoint: str, asked: Faults) -> Faults:
        """All that a generation meets from its acceptance on."""
        met: dict[Fault, Value] = {}
        for group in OF_GENERATION:
            met |= self.draw(group, endpoint, asked)
        return met

    def _hits(self, rule: FaultRule) -> bool:
        if rule.rate is not None:
            return self._random.random() < rule.rate
        if rule.count is None or rule.count <= 0:
            return False
        rule.count -= 1
        if rule.count == 0:
            self._rules.remove(rule)
        return True
