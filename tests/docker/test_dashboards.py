"""The dashboards' files: their schema, their queries' words, what provisions them.

That each panel shows what the service did is in `test_dashboard_values.py`. Grafana itself does not run here.
"""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from image2model.docs.pages import LABELS, all_metrics
from image2model.telemetry import tracing
from tests.support.compose import ROOT, compose
from tests.support.dashboards import FILES, documents, queries

NPM: Final = ROOT / "tests/npm"
TSC: Final = ROOT / "src/image2model/web/client/node_modules/.bin/tsc"
SCHEMA: Final = NPM / "node_modules/@grafana/schema"
PROVISIONING: Final = ROOT / "docker/grafana/provisioning"


def type_check(folder: Path, dashboards: dict[str, Any]) -> "subprocess.CompletedProcess[str]":
    """tsc on the dashboards as values of Grafana's published type."""
    lines = ['import type { Dashboard } from "@grafana/schema";']
    lines += [f"export const {name}: Dashboard = {json.dumps(one)};" for name, one in dashboards.items()]
    (folder / "dashboards.ts").write_text("\n".join(lines))
    options = {
        "strict": True,
        "noEmit": True,
        "skipLibCheck": True,
        "types": [],
        "module": "esnext",
        "moduleResolution": "bundler",
        "target": "es2022",
        "lib": ["es2022", "dom"],
        "paths": {"@grafana/schema": [str(SCHEMA / "dist/types/index.d.ts")]},
    }
    (folder / "tsconfig.json").write_text(
        json.dumps({"compilerOptions": options, "files": ["dashboards.ts"]})
    )
    assert TSC.exists(), "the tests need `make setup-test`"
    return subprocess.run([TSC, "-p", folder], capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.long
def test_dashboards_have_grafanas_published_type(tmp_path: Path) -> None:
    checked = type_check(tmp_path, documents())
    assert checked.returncode == 0, checked.stdout
    faults: tuple[dict[str, Any], ...] = (
        {"panels": [{"title": "no type"}]},
        {"refresh": 30},
        {"schemaVersion": "41"},
        {"nam": "x"},
    )
    spoilt = {f"x{n}": {**documents()["money"], **fault} for n, fault in enumerate(faults)}
    complaints = type_check(tmp_path, spoilt).stdout
    # each dashboard is one line, after the import
    lines = set(re.findall(r"^\S*dashboards\.ts\((\d+),", complaints, re.MULTILINE))
    assert lines == {"2", "3", "4", "5"}, complaints


def test_grafana_in_the_containers_is_that_of_the_type() -> None:
    version = json.loads((SCHEMA / "package.json").read_text())["version"]
    assert compose()["services"]["grafana"]["image"] == f"grafana/grafana:{version}"


def test_files_are_fresh() -> None:
    command = [sys.executable, "tools/dashboards.py", "--check"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr


def test_panels_have_places_of_their_own_and_titles_that_differ() -> None:
    for name, document in documents().items():
        assert document["uid"] == f"image2model-{name}"
        titles = [panel["title"] for panel in document["panels"]]
        assert len(titles) == len(set(titles)), name
        cells = [
            (x, y)
            for place in (panel["gridPos"] for panel in document["panels"])
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        ]
        assert len(cells) == len(set(cells)), name
        assert max(x for x, _ in cells) < 24, name


def test_queries_parse_and_name_metrics_that_exist(tmp_path: Path) -> None:
    promtool = shutil.which("promtool")
    assert promtool, "the tests need promtool: apt-get install prometheus"
    asked = list(queries("prometheus"))
    rules = [{"record": f"q{n}", "expr": one.of_range(300)} for n, one in enumerate(asked)]
    file = tmp_path / "rules.yml"
    file.write_text(json.dumps({"groups": [{"name": "panels", "rules": rules}]}))
    done = subprocess.run([promtool, "check", "rules", file], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    known = {name for name, *_ in all_metrics()}
    for one in asked:
        named = set(re.findall(r"\b(?:http|task|image2model)_\w+", one.expression))
        assert {re.sub("_(bucket|count)$", "", name) for name in named} - set(LABELS) <= known, one


def test_lines_and_traces_are_asked_for_by_what_ours_have() -> None:
    for one in queries("loki"):
        assert '{service_name="image2model"' in one.expression
    for one in queries("tempo"):
        attributes = set(re.findall(r"span\.([\w.]+)", one.expression))
        assert attributes == {tracing.JOB_ID, tracing.IMAGE_ID}


def test_data_sources_and_folders_are_those_that_the_dashboards_name() -> None:
    sources = yaml.safe_load((PROVISIONING / "datasources/image2model.yml").read_text())["datasources"]
    used = {
        (panel["datasource"]["uid"], panel["datasource"]["type"])
        for document in documents().values()
        for panel in document["panels"]
    }
    assert used == {(source["uid"], source["type"]) for source in sources}
    services = compose()["services"]
    for source in sources:
        host = re.fullmatch(r"http://(\w+):\d+", source["url"])
        assert host, source
        assert host[1] in services
    provider = yaml.safe_load((PROVISIONING / "dashboards/image2model.yml").read_text())["providers"][0]
    grafana = services["grafana"]
    mounted, _, inside = grafana["volumes"][0].removesuffix(":ro").partition(":")
    assert (ROOT / mounted / "dashboards").samefile(FILES[0].parent)
    assert provider["options"]["path"] == f"{inside}/dashboards"
    assert grafana["environment"]["GF_PATHS_PROVISIONING"] == f"{inside}/provisioning"
    assert grafana["entrypoint"] == ["sh", f"{inside}/start.sh"]


@pytest.mark.parametrize("password", ["", "a-password"])
def test_grafana_starts_with_a_password_only(tmp_path: Path, password: str) -> None:
    run = tmp_path / "run.sh"
    run.write_text("#!/bin/sh\necho started\n")
    run.chmod(0o755)
    script = (ROOT / "docker/grafana/start.sh").read_text().replace("/run.sh", str(run))
    environment = {"PATH": "/usr/bin:/bin", "GF_SECURITY_ADMIN_PASSWORD": password}
    done = subprocess.run(["sh", "-c", script], env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == ((0, "started\n") if password else (1, ""))
