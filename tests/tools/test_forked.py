"""Programs that are forked off do what new interpreters do; else tests of them would prove nothing."""

import os
import signal
import subprocess
from pathlib import Path

import pytest

from image2model import __version__
from tests.support import forked
from tests.support.forked import Server
from tests.support.processes import is_gone
from tests.support.starts import Process, Start, interpreter
from tests.support.wait import wait_until

STARTS = pytest.mark.parametrize("start", [forked.start, interpreter])
EMULATOR = ("fal_emulator", "--port", "0", "--exit-with-parent")


def said(start: Start, folder: Path, *command: str, **environment: str) -> tuple[int, str, str]:
    """Its exit code, and what it wrote."""
    out, err = folder / "out", folder / "err"
    with out.open("wb") as stdout, err.open("wb") as stderr:
        code = start(command, {**os.environ, **environment}, stdout, stderr, folder).wait(60)
    return code, out.read_text(), err.read_text()


def serving(process: Process, log: Path) -> Process:
    """The emulator, once it is ready."""
    wait_until(lambda: "ready" in log.read_text())
    return process


@STARTS
def test_output_exit_code_and_settings(start: Start, tmp_path: Path) -> None:
    version = f"image2model, version {__version__}\n"
    assert said(start, tmp_path, "image2model", "--version") == (0, version, "")
    code, out, err = said(start, tmp_path, "image2model", "api", I2M_PORT="x")
    assert (code, out) == (2, "")
    assert "I2M_PORT" in err
    code, _, err = said(start, tmp_path, "image2model", "status", "a", "--url", "x")
    assert code == 2
    assert "I2M_PORT" not in err  # nothing is left of the one before


@STARTS
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 0), (signal.SIGKILL, -9)])
def test_end_by_a_signal(start: Start, number: int, code: int, tmp_path: Path) -> None:
    log = tmp_path / "log"
    with log.open("wb") as out:
        process = serving(start(EMULATOR, os.environ, out, out), log)
    assert process.poll() is None
    process.send_signal(number)
    assert process.wait(20) == code == process.poll()
    process.kill()  # an ended one may be killed again


def test_nothing_outlives_the_server(tmp_path: Path) -> None:
    server, log = Server(), tmp_path / "log"
    with log.open("wb") as out:
        process = serving(server.start(EMULATOR, os.environ, out, out, tmp_path), log)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.01)
    server.end()
    wait_until(lambda: is_gone(process.pid))


def test_what_imports_read_needs_a_new_interpreter(tmp_path: Path) -> None:
    with (tmp_path / "out").open("wb") as out:
        own = forked.start(("image2model", "--version"), os.environ, out, out)
        other = forked.start(("image2model", "--version"), {**os.environ, "PYTHONHASHSEED": "1"}, out, out)
    assert (type(own).__name__, type(other).__name__) == ("Program", "Popen")
    assert (own.wait(20), other.wait(20)) == (0, 0)
