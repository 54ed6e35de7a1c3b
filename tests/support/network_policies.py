"""Who may connect to whom under NetworkPolicies, decided as a cluster's network would.

Who calls it: the tests of `tests/kubernetes`. It understands policies of one namespace, as ours are.
"""

import ipaddress
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from tests.support.kubernetes import NAMESPACE, Resource, of_kind, pods


@dataclass(frozen=True)
class Endpoint:
    """A pod, or an address outside the cluster (`namespace` None). `ports`: those it listens on, by name."""

    name: str
    address: str
    namespace: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    ports: Mapping[str, int] = field(default_factory=dict)


INTERNET: Final = Endpoint("internet", "203.0.113.9")
METADATA: Final = Endpoint("cloud metadata", "169.254.169.254")
PRIVATE: Final = Endpoint("private network", "192.168.7.7")
KEDA: Final = Endpoint("keda", "10.1.1.1", "keda", {"app": "keda-operator"})
DNS: Final = Endpoint("dns", "10.1.1.2", "kube-system", {"k8s-app": "kube-dns"})
STRANGER: Final = Endpoint("stranger", "10.1.1.3", "other", {})

Edge = tuple[str, str, int]
"""Source, target, port."""


def endpoints(resources: Sequence[Resource]) -> dict[str, Endpoint]:
    """Our pods."""
    return {
        name: Endpoint(
            name,
            f"10.0.0.{number}",
            NAMESPACE,
            template["metadata"]["labels"],
            {
                port["name"]: port["containerPort"]
                for container in template["spec"]["containers"]
                for port in container["ports"]
            },
        )
        for number, (name, template) in enumerate(sorted(pods(resources).items()), 1)
    }


def edges_between_pods(resources: Sequence[Resource]) -> set[Edge]:
    """Every connection that is allowed from a pod of ours to a port on which another one of ours listens."""
    ours = endpoints(resources).values()
    return {
        (source.name, target.name, port)
        for source in ours
        for target in ours
        for port in target.ports.values()
        if source is not target and may_connect(resources, source, target, port)
    }


def may_connect(
    resources: Sequence[Resource], source: Endpoint, target: Endpoint, port: int, protocol: str = "TCP"
) -> bool:
    """Whether the policies of both sides allow it. `port` is the number on which the target listens."""
    policies = list(of_kind(resources, "NetworkPolicy").values())
    return _allows(policies, "Egress", source, target, (target, port, protocol)) and _allows(
        policies, "Ingress", target, source, (target, port, protocol)
    )


def _allows(
    policies: Sequence[Resource],
    direction: str,
    subject: Endpoint,
    peer: Endpoint,
    listener: tuple[Endpoint, int, str],
) -> bool:
    if subject.namespace != NAMESPACE:
        return True
    selecting = [
        policy["spec"]
        for policy in policies
        if direction in policy["spec"]["policyTypes"]
        and _selects(policy["spec"]["podSelector"], subject.labels)
    ]
    rules = [rule for spec in selecting for rule in spec.get(direction.lower(), ())]
    peers = "to" if direction == "Egress" else "from"
    allowed = any(_peers(rule.get(peers), peer) and _ports(rule.get("ports"), *listener) for rule in rules)
    return allowed or not selecting


def _peers(listed: Sequence[Mapping[str, Any]] | None, peer: Endpoint) -> bool:
    return listed is None or any(_is_peer(one, peer) for one in listed)


def _is_peer(one: Mapping[str, Any], peer: Endpoint) -> bool:
    if "ipBlock" in one:
        return _in_block(one["ipBlock"], peer.address)
    if peer.namespace is None:
        return False
    if "namespaceSelector" in one:
        names = {"kubernetes.io/metadata.name": peer.namespace}
        if not _selects(one["namespaceSelector"], names):
            return False
    elif peer.namespace != NAMESPACE:
        return False
    return _selects(one.get("podSelector", {}), peer.labels)


def _in_block(block: Mapping[str, Any], address: str) -> bool:
    found = ipaddress.ip_address(address)
    if found not in ipaddress.ip_network(block["cidr"]):
        return False
    return not any(found in ipaddress.ip_network(one) for one in block.get("except", ()))


def _ports(listed: Sequence[Mapping[str, Any]] | None, listener: Endpoint, port: int, protocol: str) -> bool:
    """No list means every port. A named port is that of the pod that listens."""
    if listed is None:
        return True
    return any(
        one.get("protocol", "TCP") == protocol and listener.ports.get(one["port"], one["port"]) == port
        for one in listed
    )


def _selects(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    return all(_requirements(selector, labels))


def _requirements(selector: Mapping[str, Any], labels: Mapping[str, str]) -> Iterator[bool]:
    for key, value in selector.get("matchLabels", {}).items():
        yield labels.get(key) == value
    for one in selector.get("matchExpressions", ()):
        assert one["operator"] == "In", "the only operator that our policies use"
        yield labels.get(one["key"]) in one["values"]
