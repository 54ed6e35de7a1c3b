"""The Kubernetes files of `docker/kubernetes`: as kustomize renders them, and the base as it is written.

Who calls it: the tests of `tests/kubernetes`.
"""

import functools
import os
import re
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import yaml

from tests.support.compose import ROOT
from tests.support.heavy import python_program

KUBERNETES: Final = ROOT / "docker" / "kubernetes"
BASE: Final = KUBERNETES / "base"
NAMESPACE: Final = "image2model"
SECRET: Final = "from-a-secret"
"""Stands for whatever a Secret holds."""
_REFERENCE: Final = re.compile(r"\$\((\w+)\)")

Resource = Mapping[str, Any]


def overlays() -> list[str]:
    """The names of the overlays."""
    return sorted(path.parent.name for path in KUBERNETES.glob("overlays/*/kustomization.yaml"))


def components() -> list[str]:
    """The names of the components."""
    return sorted(path.parent.name for path in KUBERNETES.glob("components/*/kustomization.yaml"))


@functools.cache
def base() -> tuple[Resource, ...]:
    """The base as it is written, without kustomize: for tests that must not need the heavy environment."""
    listed = yaml.safe_load((BASE / "kustomization.yaml").read_text())["resources"]
    documents = [
        document
        for name in listed
        if name.endswith(".yaml")
        for document in yaml.safe_load_all((BASE / name).read_text())
    ]
    lines = (BASE / "settings.env").read_text().splitlines()
    settings = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
    return *documents, {"kind": "ConfigMap", "metadata": {"name": "settings"}, "data": settings}


@functools.cache
def overlay(name: str) -> tuple[Resource, ...]:
    """An overlay as kustomize renders it."""
    return kustomize(KUBERNETES / "overlays" / name)


@functools.cache
def composed(*names: str) -> tuple[Resource, ...]:
    """The base with these components, in an overlay as a user would write it."""
    with tempfile.TemporaryDirectory() as folder:
        # kustomize takes relative paths only
        ours = Path(os.path.relpath(KUBERNETES, Path(folder).resolve()))
        document = {
            "resources": [str(ours / "base")],
            "components": [str(ours / "components" / name) for name in names],
        }
        (Path(folder) / "kustomization.yaml").write_text(yaml.safe_dump(document))
        return kustomize(Path(folder))


def kustomize(folder: Path) -> tuple[Resource, ...]:
    """What kustomize makes of a folder. AssertionError with its words if it refuses."""
    done = subprocess.run(
        [python_program("kubectl"), "kustomize", folder],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "deprecated" not in done.stderr, done.stderr
    return tuple(yaml.safe_load_all(done.stdout))


def of_kind(resources: Sequence[Resource], *kinds: str) -> dict[str, Resource]:
    """The resources of these kinds by name."""
    return {one["metadata"]["name"]: one for one in resources if one["kind"] in kinds}


def pods(resources: Sequence[Resource]) -> dict[str, Resource]:
    """The templates of all pods by the name of their workload."""
    workloads = of_kind(resources, "Deployment", "StatefulSet")
    return {name: one["spec"]["template"] for name, one in workloads.items()}


def container(resources: Sequence[Resource], name: str) -> Resource:
    """The only container of a workload."""
    (found,) = pods(resources)[name]["spec"]["containers"]
    return dict(found)


def environment(resources: Sequence[Resource], name: str) -> dict[str, str]:
    """What the process of a workload finds in its environment. A required secret is `SECRET`."""
    found = container(resources, name)
    given: dict[str, str] = {}
    for source in found.get("envFrom", ()):
        if "configMapRef" in source:
            given |= _config_map(resources, source["configMapRef"]["name"])
    for entry in found.get("env", ()):
        reference = entry.get("valueFrom", {}).get("secretKeyRef")
        if reference is None:
            given[entry["name"]] = _REFERENCE.sub(lambda one: given[one[1]], entry["value"])
        elif not reference.get("optional"):
            given[entry["name"]] = SECRET
    return given


def _config_map(resources: Sequence[Resource], name: str) -> dict[str, str]:
    return dict(of_kind(resources, "ConfigMap")[name]["data"])
