"""What the how-tos name exists: settings, commands, options, metrics, calls, codes, alerts, log events.

The names come from the generated pages, which `tests/reference` holds to the code, and from the programs.
"""

import re
import shlex
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from image2model.domain import WaitingFor, WarningCode
from tests.site.pages import DOCS, HOWTOS, OPERATIONS, ROOT, WRITTEN, blocks, table, words

TROUBLE = DOCS / "howto/troubleshooting.md"
each_page = pytest.mark.parametrize("page", WRITTEN, ids=lambda page: page.stem)


def generated(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


def containers() -> str:
    files = (
        ROOT / "compose.yaml",
        *ROOT.glob("docker/compose.*.yaml"),
        *ROOT.glob("docker/kubernetes/**/*.yaml"),
    )
    return "".join(path.read_text() for path in files)


@each_page
def test_settings(page: Path) -> None:
    named = set(re.findall(r"\bI2M_[A-Z_]+\b", page.read_text(encoding="utf-8")))
    known = set(re.findall(r"^\| `(I2M_\w+)` \|", generated("settings.md"), re.MULTILINE))
    assert "I2M_MAX_CONCURRENT" in known
    assert named - known - set(re.findall(r"\bI2M_[A-Z_]+\b", containers())) == set()


@each_page
def test_metrics(page: Path) -> None:
    named = set(re.findall(r"\b(?:image2model|http_request)_?[a-z_]*_(?:[a-z]+)\b", page.read_text("utf-8")))
    known = set(re.findall(r"^\| `(\w+)` \|", generated("metrics.md"), re.MULTILINE))
    assert "image2model_queue_paused" in known
    assert named - {"image2model_addon"} <= known  # Blender's module


@each_page
def test_calls(page: Path) -> None:
    """With a method: that call. Without one: the path of some call."""
    text = page.read_text(encoding="utf-8")
    served = re.findall(r"^## `([A-Z]+) (\S+)`", generated("api.md"), re.MULTILINE)
    patterns = [(method, re.sub(r"\\{\w+\\}", r"[^/]+", re.escape(path))) for method, path in served]
    named = re.findall(r"(?:\b(GET|POST|PATCH|PUT|DELETE) )?(/api/v1/[\w/{}.-]*\w}?)", text)
    for method, path in named:
        assert any(
            (not method or method == one) and re.fullmatch(pattern, path) for one, pattern in patterns
        ), f"{method} {path}"


@cache
def help_of(*command: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "image2model", *command, "--help"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, f"{command}: {done.stderr}"
    return done.stdout


def invocations(text: str) -> list[list[str]]:
    """Each `image2model …` of code, split as a shell does; in containers it is `run --rm SERVICE …`."""
    code = (
        "\n".join(re.findall(r"`([^`\n]+)`", text))
        + "\n"
        + "\n".join(re.findall(r"```sh\n(.*?)```", text, re.DOTALL))
    )
    found = re.findall(r"(?:\bimage2model|run --rm [\w-]+) ((?:[a-z]|--)[^\n|>)]*)", code)
    return [shlex.split(one, comments=True) for one in found]


@pytest.mark.long
@each_page
def test_commands_and_their_options(page: Path) -> None:
    for words_of_call in invocations(page.read_text(encoding="utf-8")):
        command = [words_of_call[0]] if not words_of_call[0].startswith("-") else []
        if command and command[0] in {"keys", "dead"}:
            command.append(words_of_call[1])
        shown = help_of(*command)
        for option in (one for one in words_of_call if one.startswith("--")):
            assert re.search(rf"{re.escape(option)}\b", shown), f"{words_of_call}: {option}"


def test_commands_are_found() -> None:
    """The search for them is not blind."""
    found = {one[0] for page in HOWTOS for one in invocations(page.read_text(encoding="utf-8"))}
    assert {"submit", "quote", "keys", "doctor", "up", "dead", "backup"} <= found


@each_page
def test_error_codes(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    named = set(re.findall(r"\b[45]\d\d `([a-z_]+)`", text)) | set(
        re.findall(r"^### `([a-z_]+)`", text, re.MULTILINE)
    )
    known = set(re.findall(r"^\| `(\w+)` \|", generated("errors.md"), re.MULTILINE))
    # the readiness of a replica, not an error
    assert named - {"degraded", "unready"} <= known


def test_every_reason_to_wait_is_explained_and_no_other() -> None:
    assert words(table(TROUBLE, "Why a job waits")) - {"null"} == {str(one) for one in WaitingFor}


def test_every_warning_is_explained_and_no_other() -> None:
    assert words(table(TROUBLE, "Warnings of a result")) == {str(one) for one in WarningCode}


def test_log_events_are_in_the_source() -> None:
    source = "".join(path.read_text(encoding="utf-8") for path in ROOT.glob("src/image2model/**/*.py"))
    named = words(table(TROUBLE, "The log"))
    assert "unexpected_error" in named
    assert {event for event in named if f'"{event}"' not in source} == set()


def test_links_of_the_pages_beside_the_site_lead_to_files() -> None:
    for name in ("README.md", "CONTRIBUTING.md", "ARCHITECTURE.md", "SECURITY.md"):
        text = (ROOT / name).read_text(encoding="utf-8")
        for link in re.findall(r"\]\((?!https?:|#)([^)#\s]+)", text):
            assert (ROOT / link).exists(), f"{name}: {link}"


def test_blocks_that_are_not_run_say_why() -> None:
    for page in (*HOWTOS, *OPERATIONS):
        text = page.read_text(encoding="utf-8")
        assert text.count("<!-- not run by the tests") == sum(one.skipped for one in blocks(page)), page.name
        assert not re.search(r"<!-- not run by the tests[^:]*-->", text), page.name
