"""The configuration of Alloy, Loki and Tempo fits the service's and each other. None of them runs here."""

import re
from typing import Any, Final

import yaml

from tests.support.compose import ROOT, compose

ALLOY: Final = (ROOT / "docker/alloy/config.alloy").read_text()
LOKI: Final[dict[str, Any]] = yaml.safe_load((ROOT / "docker/loki/loki.yml").read_text())
TEMPO: Final[dict[str, Any]] = yaml.safe_load((ROOT / "docker/tempo/tempo.yml").read_text())
SOURCES: Final = yaml.safe_load(
    (ROOT / "docker/grafana/provisioning/datasources/image2model.yml").read_text()
)["datasources"]


def mounted(service: str, volume: str) -> str:
    """Where a named volume is in a container."""
    volumes = (one.split(":") for one in compose()["services"][service]["volumes"])
    return str(next(inside for name, inside, *_ in volumes if name == volume))


def url_of(source: str) -> str:
    return str(next(one["url"] for one in SOURCES if one["uid"] == source))


def test_alloy_reads_where_the_service_writes_and_can_write_nothing_there() -> None:
    (pattern,) = re.findall(r'"__path__" = "([^"]+)"', ALLOY)
    folder = mounted("alloy", "logs")
    assert pattern == f"{folder}/*.log"
    assert {mounted(name, "logs") for name in ("api-1", "api-2", "api-3", "worker")} == {folder}
    assert f"logs:{folder}:ro" in compose()["services"]["alloy"]["volumes"]
    example = (ROOT / "docker/env.example").read_text()
    assert f"# {folder} for the profile observability" in example
    assert folder in (ROOT / "docker/Dockerfile").read_text()


def test_lines_and_traces_go_where_grafana_reads() -> None:
    assert url_of("loki") == f"http://loki:{LOKI['server']['http_listen_port']}"
    assert f'"{url_of("loki")}/loki/api/v1/push"' in ALLOY
    assert url_of("tempo") == f"http://tempo:{TEMPO['server']['http_listen_port']}"
    received = TEMPO["distributor"]["receivers"]["otlp"]["protocols"]["http"]["endpoint"]
    assert f'"http://tempo:{received.rpartition(":")[2]}"' in ALLOY
    assert "http://alloy:4318" in (ROOT / "docker/env.example").read_text()
    assert 'endpoint = "0.0.0.0:4318"' in ALLOY


def test_what_is_kept_lies_on_volumes_and_for_a_time() -> None:
    services = compose({"I2M_REDIS_PASSWORD": "x", "I2M_LOGS_RETENTION": "24h"})["services"]
    for name, document in (("loki", LOKI), ("tempo", TEMPO)):
        assert services[name]["environment"] == {"I2M_LOGS_RETENTION": "24h"}
        assert "-config.expand-env=true" in services[name]["command"]
        assert "${I2M_LOGS_RETENTION}" in yaml.safe_dump(document)
        folder = mounted(name, name)
        paths = re.findall(r": (/\S+)", yaml.safe_dump(document))
        assert paths
        assert all(path.startswith(folder) for path in paths), paths


def test_alloys_blocks_close_and_its_parts_are_joined() -> None:
    """Its own check does not run here; a brace or a name that is wrong would be its first complaint."""
    assert ALLOY.count("{") == ALLOY.count("}")
    parts = {f"{kind}.{label}" for kind, label in re.findall(r'^([\w.]+) "(\w+)" {$', ALLOY, re.MULTILINE)}
    used = set(re.findall(r"\b((?:loki|local|otelcol)\.[\w.]+)\.(?:receiver|targets|input)\b", ALLOY))
    assert used <= parts
    assert len(parts) == 6
