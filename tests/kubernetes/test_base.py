"""The Kubernetes base says what is so: settings, commands, routes, ports, grace periods, secrets.

These tests read the files as they are written; `test_rendered.py` has what needs kustomize.
"""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from image2model.api.routes import routes
from image2model.cli.program import COMMANDS
from image2model.settings import SETTINGS, load
from image2model.settings.parse import duration, size
from image2model.worker.process import _ENDING_S as WORKER_ENDING_S
from tests.support.compose import compose
from tests.support.kubernetes import BASE, SECRET, base, container, environment, of_kind, pods
from tests.support.nginx import TEMPLATES, binary, render

VIEWS = {"grafana", "alloy", "loki", "tempo"}
"""What a cluster has of its own to look at metrics, lines and traces."""
OURS = ("api", "worker")
WORKLOADS = ("nginx", "api", "worker", "redis", "prometheus")
_SECRET_NAME = re.compile("KEY|PASSWORD|SECRET|TOKEN")


def test_workloads_are_those_of_the_containers() -> None:
    services = {re.sub(r"-\d$", "", name) for name in compose()["services"]}
    assert set(pods(base())) == set(WORKLOADS) == services - {"emulator"} - VIEWS


@pytest.mark.parametrize("name", OURS)
def test_environment_is_made_of_settings_that_are_valid(name: str) -> None:
    given = environment(base(), name)
    known = {setting.name for setting in SETTINGS}
    assert {key for key in given if key not in known} <= {"REDIS_PASSWORD"}
    settings = load({"I2M_HOST": "0.0.0.0", **given})  # noqa: S104 - as the image does
    assert settings.redis_url == f"redis://:{SECRET}@redis:6379/0"
    assert settings.fal_key == SECRET
    assert settings.auth == "keys"


@pytest.mark.parametrize("name", OURS)
def test_optional_secrets_are_settings_too(name: str) -> None:
    known = {setting.name for setting in SETTINGS} | {"REDIS_PASSWORD"}
    assert {entry["name"] for entry in container(base(), name)["env"]} <= known


def test_secrets_are_references() -> None:
    assert not of_kind(base(), "Secret")
    for name in WORKLOADS:
        for entry in container(base(), name).get("env", ()):
            if _SECRET_NAME.search(entry["name"]):
                assert "secretKeyRef" in entry["valueFrom"], entry["name"]
    settings = of_kind(base(), "ConfigMap")["settings"]["data"]
    assert not [name for name in settings if _SECRET_NAME.search(name)]


@pytest.mark.parametrize("name", OURS)
def test_process_is_a_command_of_ours(name: str) -> None:
    assert container(base(), name)["args"] == [name]
    assert name in COMMANDS
    assert "command" not in container(base(), name), "the image's entrypoint is the program"


def test_probes_ask_for_paths_that_exist() -> None:
    paths = {getattr(route, "path", "") for route in routes()}
    asked = {probe["httpGet"]["path"] for probe in probes("api")}
    assert asked == {"/api/v1/health/live"}
    assert asked <= paths
    assert {probe["httpGet"]["path"] for probe in probes("worker")} == {"/metrics"}


@pytest.mark.parametrize("name", WORKLOADS)
def test_probes_and_services_use_the_ports_that_are_listened_on(name: str) -> None:
    ports = {port["name"]: port["containerPort"] for port in container(base(), name)["ports"]}
    service = of_kind(base(), "Service")[name]["spec"]
    assert service["selector"] == {"app.kubernetes.io/name": name}
    assert {port["targetPort"] for port in service["ports"]} == set(ports)
    if service.get("clusterIP") == "None":  # its name is the pods' addresses, so the ports are theirs
        assert {port["port"] for port in service["ports"]} == set(ports.values())
    for probe in probes(name):
        action = probe.get("httpGet") or probe.get("tcpSocket")
        assert action is None or action["port"] in ports


def test_ports_are_those_of_the_processes() -> None:
    listens = {name: container(base(), name)["ports"][0]["containerPort"] for name in WORKLOADS}
    assert listens["api"] == load({}).port
    assert listens["worker"] == load(environment(base(), "worker")).worker_metrics_port
    assert str(listens["nginx"]) == environment(base(), "nginx")["I2M_HTTP_LISTEN"]
    assert str(listens["api"]) == environment(base(), "nginx")["I2M_API_PORT"]
    prometheus = yaml.safe_load((BASE / "prometheus.yml").read_text())
    scraped = {
        job["job_name"]: found
        for job in prometheus["scrape_configs"]
        for found in job.get("dns_sd_configs", ())
    }
    assert {name: (one["names"], one["port"]) for name, one in scraped.items()} == {
        name: ([name], listens[name]) for name in OURS
    }


def test_pods_are_given_longer_than_the_processes_take_to_stop() -> None:
    grace = duration(environment(base(), "api")["I2M_SHUTDOWN_GRACE"])
    # an API process exits within the grace; a worker exits so much later at the latest
    assert pods(base())["api"]["spec"]["terminationGracePeriodSeconds"] > pre_stop("api") + grace
    assert pods(base())["worker"]["spec"]["terminationGracePeriodSeconds"] > grace + WORKER_ENDING_S
    shutdown = re.search(r"worker_shutdown_timeout (\d+)s", (TEMPLATES / "nginx.conf.template").read_text())
    assert shutdown
    nginx = pods(base())["nginx"]["spec"]["terminationGracePeriodSeconds"]
    assert nginx > pre_stop("nginx") + int(shutdown[1])


def test_replica_serves_until_nginx_has_forgotten_it() -> None:
    cached = re.search(r"resolver .* valid=(\d+)s", (TEMPLATES / "upstream.conf.template").read_text())
    assert cached
    cluster_dns_ttl_s = 5
    assert pre_stop("api") > int(cached[1]) + cluster_dns_ttl_s
    for name in ("nginx", *OURS):
        strategy = of_kind(base(), "Deployment")[name]["spec"]["strategy"]["rollingUpdate"]
        assert strategy["maxUnavailable"] == 0, name


def test_nginx_is_configured_as_in_the_containers() -> None:
    ours, theirs = environment(base(), "nginx"), compose()["services"]["nginx"]["environment"]
    assert set(ours) == set(theirs)
    of_the_network = {"I2M_RESOLVER", "I2M_API_HOST"}
    assert {name for name in ours if ours[name] != theirs[name]} == of_the_network
    assert ours["I2M_API_HOST"].split(".")[:2] == ["api", "image2model"]
    limit = size(ours["I2M_BODY_LIMIT"].upper().replace("M", "MiB"))
    assert limit >= load(environment(base(), "api")).max_body


def test_nginx_takes_its_configuration(tmp_path: Path) -> None:
    """With the name of a DNS server instead of its address, which only a cluster knows."""
    given = environment(base(), "nginx")
    assert given["I2M_RESOLVER"].endswith(".svc.cluster.local")
    values = {**given, "I2M_RUN_DIR": str(tmp_path), "I2M_RESOLVER": "localhost"}
    main = render(tmp_path, values)
    done = subprocess.run(
        [binary(), "-t", "-p", tmp_path, "-c", main], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", ["nginx", "redis", "prometheus"])
def test_programs_of_others_are_those_of_the_containers(name: str) -> None:
    found, theirs = container(base(), name), compose()["services"][name]
    assert found["image"] == theirs["image"]
    context = pods(base())[name]["spec"]["securityContext"]
    assert f"{context['runAsUser']}:{context['runAsGroup']}" == theirs["user"]
    command = [*theirs.get("entrypoint", ()), *theirs.get("command", ())]
    assert [*found.get("command", ()), *found.get("args", ())] == command


def test_store_has_room_to_rewrite_its_file() -> None:
    limit = container(base(), "redis")["resources"]["limits"]["memory"]
    data = environment(base(), "redis")["I2M_REDIS_MAXMEMORY"]
    assert (limit, data) == ("4Gi", "3gb")
    theirs = compose()["services"]["redis"]
    assert theirs["environment"]["I2M_REDIS_MAXMEMORY"] == "12gb"
    assert theirs["deploy"]["resources"]["limits"]["memory"] == "16g"  # the same share


def test_api_can_hold_its_uploads() -> None:
    limits = container(base(), "api")["resources"]["limits"]["memory"]
    held = load(environment(base(), "api")).upload_memory
    folder = next(one for one in pods(base())["api"]["spec"]["volumes"] if one["name"] == "tmp")
    files_in_memory = size(folder["emptyDir"]["sizeLimit"].replace("i", "iB"))
    assert size(limits.replace("i", "iB")) >= held + files_in_memory + (512 << 20)


def test_workers_are_scaled_by_what_one_takes_at_once() -> None:
    scaled = of_kind(base(), "ScaledObject")["worker"]["spec"]
    assert (scaled["minReplicaCount"], scaled["maxReplicaCount"]) == (3, 10)
    (trigger,) = scaled["triggers"]
    assert trigger["metadata"]["threshold"] == environment(base(), "worker")["I2M_WORKER_CONCURRENCY"]
    assert trigger["metadata"]["ignoreNullValues"] == "false"
    assert trigger["metricType"] == "AverageValue", "KEDA's fallback knows no other type"
    assert scaled["fallback"]["behavior"] == "currentReplicasIfHigher"
    assert scaled["fallback"]["replicas"] == scaled["minReplicaCount"]
    port = of_kind(base(), "Service")["prometheus"]["spec"]["ports"][0]["port"]
    expected = f"http://prometheus.image2model.svc.cluster.local:{port}"
    assert trigger["metadata"]["serverAddress"] == expected


def test_replicas_are_set_by_those_who_scale() -> None:
    deployments = of_kind(base(), "Deployment")
    assert "replicas" not in deployments["api"]["spec"]
    assert "replicas" not in deployments["worker"]["spec"]
    scaler = of_kind(base(), "HorizontalPodAutoscaler")["api"]["spec"]
    assert scaler["scaleTargetRef"] == {"apiVersion": "apps/v1", "kind": "Deployment", "name": "api"}
    assert scaler["minReplicas"] == 3


@pytest.mark.parametrize("name", WORKLOADS)
def test_every_pod_is_hardened_and_bounded(name: str) -> None:
    spec, found = pods(base())[name]["spec"], container(base(), name)
    assert spec["serviceAccountName"] == name
    assert spec["automountServiceAccountToken"] is False
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert found["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    for bound in ("requests", "limits"):
        assert set(found["resources"][bound]) == {"cpu", "memory"}
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        assert probe in found


def probes(name: str) -> Iterator[dict[str, dict[str, str]]]:
    found = container(base(), name)
    return (found[kind] for kind in ("startupProbe", "livenessProbe", "readinessProbe"))


def pre_stop(name: str) -> int:
    return int(container(base(), name)["lifecycle"]["preStop"]["sleep"]["seconds"])
