"""The image's and the containers' definitions, by the tools made for them. No engine is needed."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from image2model.docs.pages import all_metrics
from image2model.settings import SETTINGS, load
from image2model.settings.parse import duration, size
from tests.support.compose import COMPOSE, ROOT, compose, networks_of, published
from tests.support.nginx import TEMPLATES

OURS = {"api-1", "api-2", "api-3", "worker"}
TOOLS = Path(sys.executable).parent


def check(*command: object) -> None:
    done = subprocess.run(
        [*map(str, command)], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_dockerfile_passes_hadolint() -> None:
    check(TOOLS / "hadolint", "docker/Dockerfile")


def test_compose_files_follow_their_schema() -> None:
    check(
        TOOLS / "check-jsonschema", "--builtin-schema", "vendor.compose-spec",
        "compose.yaml", "docker/compose.tls.yaml",
    )  # fmt: skip


def test_prometheus_configuration_and_alerts_pass_promtool() -> None:
    promtool = shutil.which("promtool")
    assert promtool, "the tests need promtool: apt-get install prometheus"
    # the file with the token is made at the start
    check(promtool, "check", "config", "--syntax-only", "docker/prometheus/prometheus.yml")
    check(promtool, "check", "rules", "docker/prometheus/alerts.yml")
    check(promtool, "test", "rules", "tests/docker/alerts_test.yml")


@pytest.mark.parametrize(
    "rules", sorted((ROOT / "tests/docker/alert_rules").glob("*.yml")), ids=lambda p: p.stem
)
def test_alert_rises_and_ends_as_its_cases_say(rules: Path) -> None:
    promtool = shutil.which("promtool")
    assert promtool, "the tests need promtool: apt-get install prometheus"
    check(promtool, "test", "rules", str(rules))


def test_alerts_name_metrics_that_exist() -> None:
    known = {name for name, *_ in all_metrics()}
    text = (ROOT / "docker/prometheus/alerts.yml").read_text()
    used = set(re.findall(r"\b(?:http|task|image2model)_[a-z_]+", text))
    assert {name.removesuffix("_bucket") for name in used} <= known


@pytest.mark.parametrize("script", sorted((ROOT / "docker").rglob("*.sh")), ids=lambda path: path.name)
def test_script_is_executable_and_parses(script: Path) -> None:
    check("sh", "-n", script)
    assert os.access(script, os.X_OK)


def test_nginx_and_grafana_are_published_on_loopback_and_keys_are_asked_for() -> None:
    document = compose()
    assert published(document) == {"nginx": ["127.0.0.1:8000:8080"], "grafana": ["127.0.0.1:3000:3000"]}
    assert document["services"]["grafana"]["profiles"] == ["observability"]
    assert document["services"]["api-1"]["environment"]["I2M_AUTH"] == "keys"


def test_store_is_on_the_data_network_alone_and_only_ours_get_out() -> None:
    document = compose()
    assert networks_of(document, "redis") == {"data"}
    assert networks_of(document, "nginx") == {"frontend", "backend"}
    assert [name for name, net in document["networks"].items() if net.get("internal")] == ["backend", "data"]
    assert {name for name in document["services"] if "data" in networks_of(document, name)} == OURS | {
        "redis"
    }
    assert {name for name in document["services"] if "egress" in networks_of(document, name)} == OURS


def test_every_container_is_hardened_and_bounded() -> None:
    for name, service in compose()["services"].items():
        assert service["read_only"], name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert set(service["deploy"]["resources"]["limits"]) == {"cpus", "memory"}, name
        assert "healthcheck" in service or name.startswith("api-"), name  # the image brings the API's
        assert service["image"].partition(":")[2] not in {"", "latest"} or "build" in service, name


def test_sizes_are_the_documented_ones_and_scale_by_the_environment() -> None:
    def limits(service: str, **environment: str) -> tuple[str, str]:
        document = compose({"I2M_REDIS_PASSWORD": "x", **environment})
        found = document["services"][service]["deploy"]["resources"]["limits"]
        return found["cpus"], found["memory"]

    assert [limits(name) for name in ("api-1", "worker", "redis")] == [("2", "4g"), ("4", "8g"), ("2", "16g")]
    assert limits("worker", I2M_WORKER_CPUS="1", I2M_WORKER_MEMORY="2g") == ("1", "2g")


def test_settings_of_the_containers_are_settings_of_ours_and_valid() -> None:
    known = {setting.name for setting in SETTINGS}
    for name in OURS:
        environment = {key: value or "" for key, value in compose()["services"][name]["environment"].items()}
        assert {key for key in environment if key.startswith("I2M_")} <= known
        assert load({"I2M_HOST": "0.0.0.0", **environment}).redis_url == "redis://:secret@redis:6379/0"  # noqa: S104


def test_containers_are_given_longer_than_the_processes_take_to_stop() -> None:
    for name in OURS:
        service = compose()["services"][name]
        assert duration(service["stop_grace_period"]) > duration(service["environment"]["I2M_SHUTDOWN_GRACE"])


def test_nginx_is_given_every_variable_and_the_body_limit_of_the_settings() -> None:
    given = compose()["services"]["nginx"]["environment"]
    used = {
        name
        for path in TEMPLATES.rglob("*.template")
        for name in re.findall(r"\$\{(I2M_\w+)\}", path.read_text())
    }
    assert used <= set(given)
    body_limit = size(given["I2M_BODY_LIMIT"].upper().replace("M", "MiB"))
    assert body_limit == load({}).max_body


def test_password_must_be_chosen() -> None:
    with pytest.raises(KeyError, match=r"set it in \.env"):
        compose({})


def test_tls_is_one_more_file() -> None:
    path = COMPOSE.parent / "docker" / "compose.tls.yaml"
    front = compose({"I2M_CERTIFICATES": "/etc/ours"}, path)["services"]["nginx"]
    assert front["environment"]["I2M_FRONT"] == "tls"
    assert front["volumes"] == ["/etc/ours:/run/certificates:ro"]
