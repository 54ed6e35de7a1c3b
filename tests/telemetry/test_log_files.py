"""Log files: each process its own, bounded in size and number, whole lines of JSON, and no line lost."""

import logging
import signal
import stat
from pathlib import Path

import msgspec
import pytest

from image2model.errors import ConfigurationError
from image2model.settings import load
from image2model.telemetry.log_files import LogFiles, open_log_file
from tests.support.command import run_command
from tests.support.fleet import fleet_on
from tests.support.ports import free_port
from tests.support.served_api import Service
from tests.support.servers import Address
from tests.support.wait import wait_until

Line = dict[str, object]


def lines_of(path: Path) -> list[Line]:
    """All lines of a file; each must be a JSON object."""
    return [msgspec.json.decode(line, type=Line) for line in path.read_bytes().splitlines()]


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if not path.name.startswith(".")}


async def test_lines_go_on_in_a_new_file_and_old_files_go(redis_url: str, tmp_path: Path) -> None:
    logs, size, kept = tmp_path / "logs", 6000, 3
    settings = {
        "I2M_LOG_DIR": str(logs),
        "I2M_LOG_FILE_SIZE": str(size),
        "I2M_LOG_FILE_COUNT": str(kept),
        "I2M_LOG_LEVEL": "info",
    }
    async with fleet_on(redis_url, tmp_path) as fleet:
        port = free_port("127.0.0.1")
        api = await fleet.start_api(port, **settings)
        service = Service(Address("127.0.0.1", port), tmp_path)
        for number in range(100):
            service.get("status/nothing", x_request_id=f"request-{number}")
        streamed = api.log.read_text()
    assert names(logs) == {"api-1.log", "api-1.log.1", "api-1.log.2"}
    assert all(path.stat().st_size <= size for path in logs.glob("*.log*"))
    found = [line for name in ("api-1.log.2", "api-1.log.1", "api-1.log") for line in lines_of(logs / name)]
    asked = [line["request_id"] for line in found if str(line.get("request_id", "")).startswith("request-")]
    last = [f"request-{number}" for number in range(100)]
    assert asked == last[-len(asked) :]
    assert len(asked) > 10
    assert {line["process"] for line in found if "process" in line} == {"api"}
    assert stat.S_IMODE((logs / "api-1.log").stat().st_mode) & 0o027 == 0
    # the stream has all of it
    assert all(f'"{one}"' in streamed for one in last)


async def test_processes_have_files_of_their_own_and_a_restart_goes_on_with_its_file(
    redis_url: str, tmp_path: Path
) -> None:
    logs = tmp_path / "logs"
    settings = {"I2M_LOG_DIR": str(logs), "I2M_LOG_STREAM": "none"}

    def ready(name: str) -> int:
        path = logs / name
        return sum(line["event"] == "worker_ready" for line in lines_of(path)) if path.exists() else 0

    async with fleet_on(redis_url, tmp_path) as fleet:
        first = fleet.start_worker(**settings)
        wait_until(lambda: ready("worker-1.log") == 1, timeout=30)
        second = fleet.start_worker(**settings)
        wait_until(lambda: ready("worker-2.log") == 1, timeout=30)
        first.send(signal.SIGKILL)
        await first.exit_code()
        fleet.start_worker(**settings)
        wait_until(lambda: ready("worker-1.log") == 2, timeout=30)
        assert names(logs) == {"worker-1.log", "worker-2.log"}
        assert second.log.read_text() == ""


def test_folder_that_cannot_be_written_stops_the_start(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    ended = run_command("worker", I2M_LOG_DIR=str(tmp_path / "file/logs"), I2M_REDIS_URL="unix:///x")
    assert ended.returncode == 2
    assert "I2M_LOG_DIR" in ended.stderr
    assert "Not a directory" in ended.stderr


def test_no_log_at_all_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="I2M_LOG_STREAM: with none, I2M_LOG_DIR must be set"):
        load({"I2M_LOG_STREAM": "none"})


def test_lines_that_cannot_be_written_are_reported_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """/dev/full refuses every byte, as a full disk does."""
    (tmp_path / "api-1.log").symlink_to("/dev/full")
    handler = open_log_file(LogFiles(tmp_path, 1000, 2), "api")
    for number in range(3):
        handler.emit(logging.LogRecord("x", logging.INFO, "", 0, f"line {number}", None, None))
    handler.close()
    told = capsys.readouterr().err
    assert told.count("cannot be written") == 1
    assert "No space left on device" in told
