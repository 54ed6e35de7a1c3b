"""docs/operations/kubernetes.md says what the files say, and its overlay works."""

import os
import re
from pathlib import Path

import pytest
import yaml

from image2model.settings import load
from tests.site.pages import DOCS, blocks
from tests.support.kubernetes import (
    base,
    components,
    container,
    environment,
    kustomize,
    of_kind,
    overlays,
    pods,
)

PAGE = DOCS / "operations/kubernetes.md"
ROOT = DOCS.parent


def rows(heading: str) -> list[list[str]]:
    """The cells of the table below a heading, without its head."""
    below = PAGE.read_text().partition(f"# {heading}\n")[2]
    found = re.search(r"^\|.*?(?=^[^|]|\Z)", below, re.MULTILINE | re.DOTALL)
    assert found is not None, heading
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in found[0].splitlines()[2:]]


def test_components_and_overlays_are_on_the_page() -> None:
    listed = {name.strip("`"): mark for name, _, mark in rows("Components and overlays")}
    assert list(listed) == sorted(listed, key=list(listed).index)
    assert set(listed) == set(components())
    assert {mark.strip("`") for mark in listed.values() if mark} == set(overlays())


def test_sizes_are_those_of_the_files() -> None:
    for name, replicas, cpu, memory, grace in rows("The parts"):
        part = name.strip("`")
        resources = container(base(), part)["resources"]
        for bound, shown_cpu, shown_memory in zip(
            ("requests", "limits"), cpu.split(", "), memory.split(", ")[:2], strict=True
        ):
            number = resources[bound]["cpu"]
            assert float(shown_cpu) == (int(number[:-1]) / 1000 if number.endswith("m") else float(number))
            assert resources[bound]["memory"] == re.sub(" ([MG]i)B", r"\1", shown_memory)
        assert f"{pods(base())[part]['spec']['terminationGracePeriodSeconds']} s" == grace
        assert replicas.startswith(str(least(part))), part


def least(part: str) -> int:
    scaled = {
        "api": lambda: of_kind(base(), "HorizontalPodAutoscaler")["api"]["spec"]["minReplicas"],
        "worker": lambda: of_kind(base(), "ScaledObject")["worker"]["spec"]["minReplicaCount"],
    }
    workload = of_kind(base(), "Deployment", "StatefulSet")[part]["spec"]
    return int(scaled[part]() if part in scaled else workload["replicas"])


@pytest.mark.long
def test_overlay_of_the_page_works(tmp_path: Path) -> None:
    (document,) = [one for one in blocks(PAGE) if one.title == "kustomization.yaml"]
    here = os.path.relpath(ROOT, tmp_path.resolve())
    (tmp_path / "kustomization.yaml").write_text(document.text.replace("../image2model", here))
    resources = kustomize(tmp_path)
    settings = load({"I2M_HOST": "0.0.0.0", **environment(resources, "api")})  # noqa: S104 - as the image does
    assert settings.allowed_hosts == ("models.example.com",)
    assert settings.trusted_proxies == ("10.244.0.0/16",)
    assert settings.storage_url == "s3://my-bucket/models"
    image = container(resources, "worker")["image"]
    assert (
        image
        == f"registry.example.com/team/image2model:{yaml.safe_load(document.text)['images'][0]['newTag']}"
    )
