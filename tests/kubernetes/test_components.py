"""What each component changes: storage, TLS, an Ingress, nights, another store, the meshes."""

import re
from collections.abc import Sequence

import pytest

from image2model.settings import load
from tests.kubernetes.test_network_policies import NEEDED
from tests.support.kubernetes import (
    KUBERNETES,
    SECRET,
    Resource,
    composed,
    container,
    environment,
    of_kind,
    overlay,
    pods,
)
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

pytestmark = pytest.mark.long


def test_bucket_takes_the_volumes_place() -> None:
    resources = overlay("s3")
    assert not of_kind(resources, "PersistentVolumeClaim")
    for name in ("api", "worker"):
        assert load(environment(resources, name)).storage_url == "s3://image2model/files"
        found = container(resources, name)
        assert {"secretRef": {"name": "storage", "optional": True}} in found["envFrom"]
        (mount,) = [one for one in found["volumeMounts"] if one["name"] == "files"]
        assert mount["readOnly"] is True


def test_without_a_bucket_nothing_starts() -> None:
    """The component alone leaves the folder as the place for files, where nothing can be written then."""
    resources = composed("s3")
    (mount,) = [one for one in container(resources, "api")["volumeMounts"] if one["name"] == "files"]
    url = load(environment(resources, "api")).storage_url
    assert url.startswith(f"file://{mount['mountPath']}/")
    assert mount["readOnly"] is True


def test_tls_ends_at_nginx_behind_a_load_balancer() -> None:
    resources = composed("tls")
    nginx, pod = environment(resources, "nginx"), endpoints(resources)["nginx"]
    assert nginx["I2M_FRONT"] == "tls"
    assert str(pod.ports["https"]) == nginx["I2M_HTTPS_LISTEN"]
    assert may_connect(resources, INTERNET, pod, pod.ports["https"])
    service = of_kind(resources, "Service")["nginx"]["spec"]
    assert (service["type"], service["externalTrafficPolicy"]) == ("LoadBalancer", "Local")
    assert {port["targetPort"]: port["port"] for port in service["ports"]} == {"http": 80, "https": 443}
    (mount,) = [one for one in container(resources, "nginx")["volumeMounts"] if one["name"] == "certificates"]
    assert mount["mountPath"] == nginx["I2M_CERTIFICATES"]


def test_ingress_leads_to_nginx_and_only_its_controller_may_connect() -> None:
    resources = composed("ingress")
    (rule,) = of_kind(resources, "Ingress")["image2model"]["spec"]["rules"]
    backend = rule["http"]["paths"][0]["backend"]["service"]
    ports = {port["name"] for port in of_kind(resources, "Service")[backend["name"]]["spec"]["ports"]}
    assert backend["port"]["name"] in ports
    assert rule["host"] in load(environment(resources, "api")).allowed_hosts
    nginx = endpoints(resources)["nginx"]
    controller = Endpoint("controller", "10.1.1.9", "ingress", {})
    assert may_connect(resources, controller, nginx, 8080)
    assert not any(may_connect(resources, one, nginx, 8080) for one in (INTERNET, STRANGER, KEDA))
    assert environment(resources, "nginx")["I2M_REAL_IP_FROM"] == "10.0.0.0/8"


def test_workers_go_at_night_only_while_nothing_is_unfinished() -> None:
    scaled = of_kind(composed("nights"), "ScaledObject")["worker"]["spec"]
    assert scaled["idleReplicaCount"] == 0 < scaled["minReplicaCount"]
    work, day = scaled["triggers"]
    # KEDA goes to the idle count when no trigger is active, so each of these keeps the workers
    assert (work["type"], work["metadata"]["activationThreshold"]) == ("prometheus", "0")
    assert (day["type"], day["metadata"]["desiredReplicas"]) == ("cron", str(scaled["minReplicaCount"]))
    assert scaled["fallback"]["replicas"] == scaled["minReplicaCount"], "no metric is no reason to go"
    assert scaled["cooldownPeriod"] > 300


def test_store_of_ones_own_comes_from_the_secret() -> None:
    resources = composed("external-store")
    assert "redis" not in {one["metadata"]["name"] for one in resources}
    ours = endpoints(resources)
    for name in ("api", "worker"):
        given = environment(resources, name)
        assert given["I2M_REDIS_URL"] == SECRET
        assert "REDIS_PASSWORD" not in given
        assert may_connect(resources, ours[name], PRIVATE, 6379)
        assert not may_connect(resources, ours[name], PRIVATE, 5432)
        assert not may_connect(resources, ours[name], METADATA, 6379)
    assert not may_connect(resources, ours["nginx"], PRIVATE, 6379)


def test_cluster_is_a_store_of_ones_own_whose_urls_are_settings() -> None:
    assert overlay("cluster") == composed("external-store")
    comment = (KUBERNETES / "overlays/cluster/kustomization.yaml").read_text()
    component = (KUBERNETES / "components/external-store/kustomization.yaml").read_text()
    schemes = set(re.findall(r"\b(rediss?(?:\+\w+)?)://", comment + component))
    assert schemes == {"redis", "rediss", "redis+sentinel", "redis+cluster", "rediss+cluster"}
    for scheme in schemes:
        url = f"{scheme}://:{SECRET}@h1:6379,h2:6379"
        assert load({"I2M_REDIS_URL": url}).redis_url == url


@pytest.mark.parametrize(
    ("mesh", "control_plane", "ports", "between"),
    [("linkerd", "linkerd", (8080, 8086, 8090), {4143}), ("istio", "istio-system", (15012,), set())],
)
def test_mesh_opens_no_way_but_to_its_control_plane(
    mesh: str, control_plane: str, ports: Sequence[int], between: set[int]
) -> None:
    resources = overlay(mesh)
    assert edges_between_pods(resources) == NEEDED
    ours = endpoints(resources)
    plane = Endpoint("control plane", "10.1.2.1", control_plane, {})
    for pod in ours.values():
        assert all(may_connect(resources, pod, plane, port) for port in ports)
        assert not may_connect(resources, pod, plane, 443)
        assert may_connect(resources, pod, DNS, 53, "UDP")
    for port in between:
        proxied = {
            (source, target)
            for source in ours
            for target in ours
            if source != target and may_connect(resources, ours[source], ours[target], port)
        }
        assert proxied == {(source, target) for source, target, _ in NEEDED}


def test_linkerd_lets_in_whom_the_network_policies_let_in() -> None:
    resources = overlay("linkerd")
    servers, ours = of_kind(resources, "Server"), endpoints(resources)
    assert set(servers) == set(ours), "each pod's port has a policy"
    policies = of_kind(resources, "AuthorizationPolicy")
    callers = of_kind(resources, "MeshTLSAuthentication")
    found = set()
    for name, server in servers.items():
        assert server["spec"]["podSelector"] == {"matchLabels": {"app.kubernetes.io/name": name}}
        assert policies[name]["spec"]["targetRef"]["name"] == name
        (reference,) = policies[name]["spec"]["requiredAuthenticationRefs"]
        if reference["kind"] == "NetworkAuthentication":
            assert reference["name"] in of_kind(resources, "NetworkAuthentication")
            assert name in {"nginx", "prometheus"}
        else:
            identities = callers[reference["name"]]["spec"]["identityRefs"]
            port = ours[name].ports[server["spec"]["port"]]
            found |= {(one["name"], name, port) for one in identities}
    assert found == NEEDED
    assert _accounts(resources) == set(ours)


def test_istio_lets_in_whom_the_network_policies_let_in() -> None:
    resources = overlay("istio")
    policies = of_kind(resources, "AuthorizationPolicy")
    assert policies.pop("refuse-all")["spec"] == {}, "what no rule allows is refused"
    found, open_to_all = set(), {}
    for name, policy in policies.items():
        spec = policy["spec"]
        assert spec["selector"] == {"matchLabels": {"app.kubernetes.io/name": name}}
        (rule,) = spec["rules"]
        ports = {int(port) for one in rule["to"] for port in one["operation"]["ports"]}
        if "from" not in rule:
            open_to_all[name] = ports
            continue
        principals = [one for source in rule["from"] for one in source["source"]["principals"]]
        assert all(one.startswith("*/ns/image2model/sa/") for one in principals)
        found |= {(one.rpartition("/")[2], name, port) for one in principals for port in ports}
    assert found == NEEDED
    assert open_to_all == {"nginx": {8080, 8443}, "prometheus": {9090}}
    modes = {
        name: one["spec"]["mtls"]["mode"] for name, one in of_kind(resources, "PeerAuthentication").items()
    }
    assert modes == {"default": "STRICT", "nginx": "PERMISSIVE", "prometheus": "PERMISSIVE"}
    assert _accounts(resources) == set(endpoints(resources))


def test_no_proxy_of_a_mesh_is_on_the_way_to_fal() -> None:
    namespace = of_kind(overlay("linkerd"), "Namespace")["image2model"]["metadata"]
    assert namespace["annotations"]["linkerd.io/inject"] == "enabled"
    assert namespace["annotations"]["config.linkerd.io/skip-outbound-ports"] == "443"
    assert of_kind(overlay("istio"), "Namespace")["image2model"]["metadata"]["labels"]["istio-injection"]
    for template in pods(overlay("istio")).values():
        excluded = template["metadata"]["annotations"]["traffic.sidecar.istio.io/excludeOutboundPorts"]
        assert excluded == "443"


def test_istio_repeats_no_request_between_our_parts() -> None:
    """As opaque connections there is nothing that it could repeat."""
    services = of_kind(overlay("istio"), "Service")
    for name in ("api", "worker", "redis"):
        assert [port["appProtocol"] for port in services[name]["spec"]["ports"]] == ["tcp"]


def _accounts(resources: Sequence[Resource]) -> set[str]:
    """The service accounts that pods really have, by which a mesh knows them."""
    return {template["spec"]["serviceAccountName"] for template in pods(resources).values()}
