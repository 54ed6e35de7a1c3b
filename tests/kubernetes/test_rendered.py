"""Every overlay, and every component on the base, as kustomize renders it, by the tools made for that."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import yaml

from tests.support.heavy import python_program
from tests.support.kubernetes import (
    NAMESPACE,
    Resource,
    components,
    composed,
    of_kind,
    overlay,
    overlays,
    pods,
)
from tests.support.nginx import TEMPLATES

pytestmark = pytest.mark.long

ROOT = Path(__file__).parents[2]
# named by the first that is needed: `preStop.sleep` is on by default since then
KUBERNETES_VERSIONS = ("1.30", "1.37")
EXCEPTIONS = {
    "CKV_K8S_15": "images have fixed tags, so a node that has one need not ask the registry",
    "CKV_K8S_35": "settings come from the environment; no process list and no log shows it",
    "CKV_K8S_40": "nginx and Valkey run as the users that own the files in their images",
    "CKV_K8S_43": "tags name versions; docs/operations/kubernetes.md says how to pin digests",
}
Render = Callable[[], Sequence[Resource]]
RENDERED: dict[str, Render] = {
    **{f"overlay {name}": lambda name=name: overlay(name) for name in overlays()},
    **{f"component {name}": lambda name=name: composed(name) for name in components()},
    "everything": lambda: composed("s3", "external-store", "tls", "nights", "istio"),
}


@pytest.fixture(params=list(RENDERED))
def rendered(request: pytest.FixtureRequest) -> Sequence[Resource]:
    """The resources of one overlay or component."""
    return RENDERED[request.param]()


def run(*command: object, given: str = "") -> str:
    done = subprocess.run(
        [*map(str, command)],
        cwd=ROOT,
        input=given,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def is_core(resource: Resource) -> bool:
    group = resource["apiVersion"].rpartition("/")[0]
    return "." not in group or group.endswith(".k8s.io")


@pytest.mark.timeout(300)
@pytest.mark.parametrize("version", KUBERNETES_VERSIONS)
def test_core_kinds_follow_their_schemas(version: str, tmp_path: Path) -> None:
    found = (one for render in RENDERED.values() for one in render() if is_core(one))
    core = {json.dumps(one, sort_keys=True): one for one in found}  # most are the same in all of them
    file = tmp_path / "core.yaml"
    file.write_text(yaml.safe_dump_all(core.values()))
    said = run(python_program("kubernetes-validate"), "--kubernetes-version", version, "--strict", file)
    assert said.count(" passed for resource ") == len(core)


def test_kinds_of_keda_and_istio_follow_their_published_schemas(rendered: Sequence[Resource]) -> None:
    theirs = [one for one in rendered if not is_core(one) and "linkerd" not in one["apiVersion"]]
    assert theirs
    problems = json.loads(run("node", "tests/kubernetes/validate.mjs", given=json.dumps(theirs)))
    assert problems == []


def test_schemas_notice_wrong_values_and_unknown_fields() -> None:
    (scaled,) = of_kind(overlay("s3"), "ScaledObject").values()
    wrong = json.loads(json.dumps(scaled))
    wrong["spec"]["minReplicaCount"] = "3"
    wrong["spec"]["fallback"]["behaviour"] = "static"
    problems = json.loads(run("node", "tests/kubernetes/validate.mjs", given=json.dumps([wrong])))
    assert problems == [
        "ScaledObject worker: /spec/minReplicaCount type",
        "ScaledObject worker: unknown field /spec/fallback/behaviour",
    ]


@pytest.mark.timeout(300)
def test_checkov_finds_nothing_but_the_exceptions(tmp_path: Path) -> None:
    for name in (*(f"overlay {one}" for one in overlays()), "everything"):
        (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump_all(list(RENDERED[name]())))
    checkov = [str(python_program("checkov")), "--framework", "kubernetes", "--skip-download", "--quiet"]
    done = subprocess.run(
        [*checkov, "--output", "json", "--directory", str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
        env={**os.environ, "LOG_LEVEL": "ERROR"},
    )
    report = json.loads(done.stdout)
    failed = report["results"]["failed_checks"]
    unexpected = {(one["check_id"], one["resource"]) for one in failed if one["check_id"] not in EXCEPTIONS}
    assert unexpected == set()
    assert {one["check_id"] for one in failed} == set(EXCEPTIONS), "an exception is no longer needed"
    assert report["summary"]["passed"] > 400
    assert report["summary"]["parsing_errors"] == 0


def test_everything_is_in_the_namespace_and_named_there(rendered: Sequence[Resource]) -> None:
    for one in rendered:
        if one["kind"] != "Namespace":
            assert one["metadata"].get("namespace") == NAMESPACE, (one["kind"], one["metadata"]["name"])
    names = [(one["kind"], one["metadata"]["name"]) for one in rendered]
    assert len(names) == len(set(names))


def test_what_pods_refer_to_exists(rendered: Sequence[Resource]) -> None:
    maps, claims = of_kind(rendered, "ConfigMap"), of_kind(rendered, "PersistentVolumeClaim")
    accounts, services = of_kind(rendered, "ServiceAccount"), of_kind(rendered, "Service")
    for name, template in pods(rendered).items():
        spec = template["spec"]
        assert spec["serviceAccountName"] in accounts
        assert name in services
        for source in (one for each in spec["containers"] for one in each.get("envFrom", ())):
            assert "secretRef" in source or source["configMapRef"]["name"] in maps
        for volume in spec["volumes"]:
            sources = volume.get("projected", {}).get("sources", [volume])
            for one in sources:
                assert "configMap" not in one or one["configMap"]["name"] in maps
            claimed = volume.get("persistentVolumeClaim", {}).get("claimName")
            assert claimed is None or claimed in claims


def test_nginx_gets_the_files_of_the_containers_in_their_folders() -> None:
    resources = overlay("s3")
    (volume,) = [one for one in pods(resources)["nginx"]["spec"]["volumes"] if one["name"] == "templates"]
    data = of_kind(resources, "ConfigMap")[volume["configMap"]["name"]]["data"]
    given = {item["path"]: data[item["key"]] for item in volume["configMap"]["items"]}
    assert given == {
        str(path.relative_to(TEMPLATES)): path.read_text() for path in TEMPLATES.rglob("*.template")
    }
    assert len(given) == len(data)


def test_store_gets_the_files_of_the_containers() -> None:
    (data,) = [
        one["data"]
        for name, one in of_kind(overlay("s3"), "ConfigMap").items()
        if name.startswith("valkey-configuration-")
    ]
    folder = ROOT / "docker/valkey"
    assert data == {path.name: path.read_text() for path in folder.iterdir() if path.suffix != ".yaml"}


def test_prometheus_takes_its_configuration(tmp_path: Path) -> None:
    promtool = shutil.which("promtool")
    assert promtool, "the tests need promtool: apt-get install prometheus"
    token = tmp_path / "metrics-token"  # which start.sh writes
    token.touch()
    for name, one in of_kind(overlay("s3"), "ConfigMap").items():
        if name.startswith("prometheus-"):
            for file, text in one["data"].items():
                (tmp_path / file).write_text(text.replace("/tmp/metrics-token", str(token)))  # noqa: S108
    said = run(promtool, "check", "config", tmp_path / "prometheus.yml")
    assert "1 rule files found" in said
