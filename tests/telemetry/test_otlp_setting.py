"""The setting: nothing of OpenTelemetry without it, and a clear word where the package is missing."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

_BLOCKED = """
import sys
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "opentelemetry":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Blocker())
from image2model.cli import main
sys.exit(main())
"""
_USED = """
import sys
import image2model.{module}
from image2model.settings import load
load({{}})
found = sorted(name for name in sys.modules if name.split(".")[0] in ("opentelemetry", "google", "requests"))
print(found)
"""


def _python(code: str, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("I2M_", "OTEL_"))}
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env={**kept, **settings},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("module", ["up.run", "api.server", "worker.process", "cli.program"])
def test_nothing_of_it_is_imported_without_the_setting(module: str) -> None:
    done = _python(_USED.format(module=module))
    assert (done.returncode, done.stdout.strip()) == (0, "[]"), done.stderr


@pytest.mark.parametrize("command", ["api", "worker", "up"])
def test_missing_package_stops_the_start_with_the_command_that_installs_it(
    command: str, tmp_path: Path
) -> None:
    done = _python(
        _BLOCKED,
        command,
        I2M_OTEL_ENDPOINT="http://127.0.0.1:4318",
        I2M_MAX_FILES="none",
        I2M_DATA_DIR=str(tmp_path / "data"),
    )
    assert done.returncode == 2
    said = done.stderr.splitlines()
    assert any("I2M_OTEL_ENDPOINT" in line and "pip install opentelemetry-" in line for line in said)
    assert any("I2M_MAX_FILES" in line for line in said)
    assert "Traceback" not in done.stderr


def test_without_the_setting_the_package_is_not_needed() -> None:
    done = _python(_BLOCKED, "worker")
    assert "I2M_REDIS_URL" in done.stderr
    assert "opentelemetry" not in done.stderr


def test_a_query_in_the_endpoint_is_refused_with_what_to_do() -> None:
    done = _python(_BLOCKED, "worker", I2M_OTEL_ENDPOINT="http://collector:4318?key=secret")
    assert done.returncode == 2
    assert "OTEL_EXPORTER_OTLP_HEADERS" in done.stderr
    assert "secret" not in done.stderr
