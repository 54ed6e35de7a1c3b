"""What a person sees: the live table of `submit`, in a terminal of its own."""

import os
import pty
import re
import subprocess
import sys
from pathlib import Path

from tests.cli.conftest import MakePicture


def _in_terminal(command: list[str], cwd: Path, environment: dict[str, str]) -> tuple[int, str]:
    ours, theirs = pty.openpty()
    process = subprocess.Popen(command, cwd=cwd, env=environment, stdout=theirs, stderr=theirs)
    os.close(theirs)
    shown = b""
    try:
        while chunk := os.read(ours, 65536):
            shown += chunk
    except OSError:  # how Linux tells that the other end is closed
        pass
    os.close(ours)
    return process.wait(30), shown.decode(errors="replace")


def test_live_table_ends_with_the_summary(
    picture: MakePicture, tmp_path: Path, environment: dict[str, str]
) -> None:
    path = picture("chair.png")
    command = [sys.executable, "-m", "image2model", "submit", str(path)]
    terminal = {**environment, "TERM": "xterm-256color", "COLUMNS": "100", "LINES": "30"}
    code, shown = _in_terminal(command, tmp_path, terminal)
    assert code == 0, shown
    assert re.search(r"saved\S*  chair\.glb  \$0\.30", shown)
    assert "0/0" not in shown
    assert "1/1" in shown
    assert "1 picture: 1 model saved, 0 done before, 0 failed; cost 0.30 USD" in shown
    assert "Contact sheet: `image2model report " in shown
    assert "\x1b[?25h" in shown  # the cursor is back
