"""The program itself: help, exit codes, and that nothing is imported before it is needed."""

import json
import subprocess
import sys
from pathlib import Path

from click.testing import CliRunner

from image2model import __version__
from image2model.cli.program import CLI, COMMANDS
from image2model.up.store import EmbeddedStore
from tests.support.command import Done, run_command


def _run(*arguments: str, environment: dict[str, str] | None = None, cwd: Path | None = None) -> Done:
    return run_command(*arguments, folder=cwd, **(environment or {}))


def test_help_names_every_command_and_imports_none() -> None:
    code = (
        "import sys; from image2model.cli.program import run; assert run(['--help']) == 0;"
        "heavy = {'aiohttp', 'redis', 'arq', 'rich', 'starlette', 'PIL', 'sqlite3', 'asyncio'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
    assert all(f"\n  {name} " in done.stdout for name in COMMANDS)


def test_every_command_has_help() -> None:
    for name in COMMANDS:
        if name != "emulator":  # its help is the emulator's own
            result = CliRunner().invoke(CLI, [name, "--help"])
            assert result.exit_code == 0, name
            assert result.output.startswith("Usage: "), name


def test_emulator_takes_its_own_flags() -> None:
    done = _run("emulator", "--help")
    assert done.returncode == 0
    assert done.stdout.startswith("usage: image2model emulator ")
    assert "--fault KIND[=…]" in done.stdout


def test_version() -> None:
    assert __version__ in _run("--version").stdout


def test_wrong_usage_is_2() -> None:
    assert _run("fly").returncode == 2
    assert _run("submit").returncode == 2
    assert _run("worker", "--queues", "nonsense").returncode == 2


def test_wrong_settings_are_2_and_all_named() -> None:
    done = _run("api", environment={"I2M_PORT": "x", "I2M_MAX_FILES": "0"})
    assert done.returncode == 2
    assert [line.split(":")[1].strip() for line in done.stderr.splitlines()] == ["I2M_PORT", "I2M_MAX_FILES"]


def test_nobody_at_the_url_fails_with_a_sentence() -> None:
    done = _run("status", "x", "--url", "nonsense")
    assert done.returncode == 2
    assert done.stderr.startswith("image2model: --url: ")
    assert _run("status", "x", environment={"I2M_URL": "nonsense"}).stderr.startswith(
        "image2model: I2M_URL: "
    )


def test_url_of_the_interface_is_told_from_the_services_root() -> None:
    for below in ("/api/v1", "/api/v1/docs"):
        done = _run("status", "x", "--url", f"http://127.0.0.1:9/prefix{below}")
        root = "http://127.0.0.1:9/prefix"
        assert done.returncode == 2
        assert done.stderr == (
            f"image2model: --url: must be the service's root, {root}, and not {root}{below}\n"
        )
    assert "--url: " in _run("keys", "list", "--url", "http://127.0.0.1:9/api/v1").stderr
    done = _run("status", "x", environment={"I2M_URL": "http://127.0.0.1:9/api/v1"})
    assert done.stderr.startswith("image2model: I2M_URL: must be the service's root, http://127.0.0.1:9, ")


def test_doctor_names_what_is_broken(tmp_path: Path, valkey: EmbeddedStore) -> None:
    settings = {
        "I2M_REDIS_URL": valkey.url,
        "I2M_STORAGE_URL": "file:///proc/nowhere",
        "I2M_DATA_DIR": str(tmp_path),
        "I2M_PROT": "1",
    }
    done = _run("doctor", "--json", environment=settings)
    assert done.returncode == 1
    found = {(one["part"], one["state"]) for one in json.loads(done.stdout)}
    assert ("redis", "ok") in found
    assert ("redis", "warning") in found  # the tests' store keeps nothing
    assert ("workers", "broken") in found
    assert ("storage", "broken") in found
    assert ("settings", "warning") in found


def test_doctor_without_a_store_says_what_to_do(tmp_path: Path) -> None:
    done = _run("doctor", environment={"I2M_DATA_DIR": str(tmp_path), "COLUMNS": "200"})
    assert done.returncode == 1
    assert "image2model up" in done.stdout


def test_help_of_up_warns_of_what_the_emulator_forgets() -> None:
    assert "`result_expired` after the next start" in " ".join(_run("up", "--help").stdout.split())
