"""Completion as a shell asks for it: through the program, in a process of its own."""

import os
import subprocess
import sys

import pytest

from image2model.cli.program import COMMANDS
from tests.support.command import run_command


def _completed(line: str, *, program: str = "from image2model.cli import main; main()") -> list[str]:
    words = {"COMP_WORDS": line, "COMP_CWORD": str(len(line.split(" ")) - 1)}
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, **words, "_IMAGE2MODEL_COMPLETE": "bash_complete"},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return [entry.partition(",")[2] for entry in done.stdout.splitlines()]


def test_commands_are_completed() -> None:
    assert _completed("image2model ") == list(COMMANDS)
    assert _completed("image2model re") == ["report", "retry", "restore"]


def test_options_and_their_values_are_completed() -> None:
    assert _completed("image2model report --o") == ["--out"]
    assert _completed("image2model completion f") == ["fish"]


def test_completing_a_command_imports_none() -> None:
    program = (
        "import sys\nfrom image2model.cli import main\ntry:\n    main()\nfinally:\n"
        "    loaded = {'aiohttp', 'redis', 'rich', 'asyncio'} & set(sys.modules)\n"
        "    assert not loaded, loaded"
    )
    assert _completed("image2model st", program=program) == ["status"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_has_a_script(shell: str) -> None:
    done = run_command("completion", shell)
    assert done.returncode == 0
    assert f"_IMAGE2MODEL_COMPLETE={shell}_complete" in done.stdout


def test_bash_takes_the_script() -> None:
    script = run_command("completion", "bash").stdout
    asked = f"{script}\ncomplete -p image2model"
    done = subprocess.run(["bash", "-c", asked], capture_output=True, text=True, timeout=60, check=True)
    assert "_image2model_completion" in done.stdout
