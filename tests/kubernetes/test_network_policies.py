"""NetworkPolicies allow the connections of compose.yaml's networks, and no other."""

import pytest

from tests.support.compose import compose, networks_of
from tests.support.kubernetes import base
from tests.support.network_policies import (
    DNS,
    INTERNET,
    KEDA,
    METADATA,
    PRIVATE,
    STRANGER,
    Endpoint,
    edges_between_pods,
    endpoints,
    may_connect,
)

NEEDED = {
    ("nginx", "api", 8000),
    ("prometheus", "api", 8000),
    ("prometheus", "worker", 9100),
    ("api", "redis", 6379),
    ("worker", "redis", 6379),
}
OUTSIDERS = (INTERNET, METADATA, PRIVATE, KEDA, DNS, STRANGER)


def test_pods_connect_where_they_have_to_and_nowhere_else() -> None:
    assert edges_between_pods(base()) == NEEDED


def test_every_connection_lies_in_a_network_of_the_containers() -> None:
    document = compose()
    networks = {name: networks_of(document, "api-1" if name == "api" else name) for name in endpoints(base())}
    for source, target, _ in edges_between_pods(base()):
        assert networks[source] & networks[target], f"{source} and {target} share no network"
    for name, pod in endpoints(base()).items():
        outside = may_connect(base(), pod, INTERNET, 443)
        assert outside == ("egress" in networks[name]), name
        reached = any(may_connect(base(), INTERNET, pod, port) for port in pod.ports.values())
        assert reached == ("frontend" in networks[name]), name


@pytest.mark.parametrize("outsider", OUTSIDERS, ids=lambda one: one.name)
def test_only_nginx_is_open_to_others_and_prometheus_to_keda(outsider: Endpoint) -> None:
    open_ports = {
        (name, port)
        for name, pod in endpoints(base()).items()
        for port in (*pod.ports.values(), 22)
        if may_connect(base(), outsider, pod, port)
    }
    assert open_ports == {("nginx", 8080)} | ({("prometheus", 9090)} if outsider is KEDA else set())


@pytest.mark.parametrize("name", sorted(endpoints(base())))
def test_nobody_reaches_private_addresses_or_the_clouds_metadata(name: str) -> None:
    pod = endpoints(base())[name]
    assert not [one.name for one in (METADATA, PRIVATE, STRANGER, KEDA) if may_connect(base(), pod, one, 80)]


@pytest.mark.parametrize("name", sorted(endpoints(base())))
def test_all_but_the_store_can_look_names_up(name: str) -> None:
    pod = endpoints(base())[name]
    assert may_connect(base(), pod, DNS, 53, "UDP") == (name != "redis")


def test_without_the_first_policy_everything_would_be_open() -> None:
    """The evaluation itself: what no policy selects may connect to everything."""
    rest = tuple(one for one in base() if one["kind"] != "NetworkPolicy")
    pods = endpoints(base())
    assert may_connect(rest, STRANGER, pods["redis"], 6379)
    assert may_connect(rest, pods["redis"], INTERNET, 443)
