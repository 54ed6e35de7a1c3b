"""README's curl session still gives what it prints: the same fields, events and files, other ids."""

import json
import re
import shlex
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.sketches import picture
from tests.support.up_process import Running

README = Path(__file__).parents[2] / "README.md"
PRINTED_URL = "http://127.0.0.1:8000"
ID = re.compile(r"\b[0-9a-f]{32}\b")


@dataclass(frozen=True)
class Step:
    """One command of the session and what README prints under it."""

    command: str
    printed: str


def session() -> list[Step]:
    text = README.read_text(encoding="utf-8")
    block = re.search(r"```console\n(\$ curl .*?)```", text, re.DOTALL)
    assert block is not None, "README has no session"
    steps = re.split(r"^\$ ", block[1], flags=re.MULTILINE)[1:]
    return [Step(*one.split("\n", 1)) for one in steps]


def fields(text: str) -> set[str]:
    """The names of JSON fields in a text that may be cut with `…`."""
    return set(re.findall(r'"([a-z_]+)":', text))


def kinds(stream: str) -> list[str]:
    return re.findall(r"^event: (\w+)$", stream, re.MULTILINE)


class Shell:
    """Runs the session's commands against the service, with the ids that it has told so far."""

    def __init__(self, url: str, folder: Path) -> None:
        self.url = url
        self.folder = folder
        self.ids: dict[str, str] = {}

    def run(self, step: Step) -> str:
        command = ID.sub(lambda one: self.ids[one[0]], step.command).replace(PRINTED_URL, self.url)
        done = subprocess.run(
            shlex.split(command), cwd=self.folder, capture_output=True, text=True, timeout=60, check=True
        )
        return done.stdout

    def learn(self, step: Step, output: str) -> None:
        """The ids that README prints stand for those that were answered, in the same order."""
        for printed, real in zip(ID.findall(step.printed), ID.findall(output), strict=False):
            self.ids.setdefault(printed, real)


@pytest.fixture
def shell(running: Running, tmp_path: Path) -> Shell:
    (tmp_path / "chair.jpg").write_bytes(picture(fmt="JPEG", seed=1))
    (tmp_path / "lamp.png").write_bytes(picture(fmt="PNG", seed=2))
    return Shell(running.url, tmp_path)


@pytest.mark.long
def test_the_curl_session_gives_what_readme_prints(shell: Shell) -> None:
    upload, stream, listing, download, kind = session()
    answered = shell.run(upload)
    shell.learn(upload, answered)
    assert fields(upload.printed) <= fields(answered)
    assert json.loads(answered)["estimated_cost_usd"] == pytest.approx(0.6)

    told = shell.run(stream)
    assert told.startswith("retry: 2000\n\nevent: snapshot\ndata: ")
    assert (kinds(told)[0], kinds(told)[-1]) == ("snapshot", "complete")
    assert set(kinds(stream.printed)) == set(kinds(told))
    assert fields(stream.printed) <= fields(told)

    files = shell.run(listing)
    shell.learn(listing, files)
    assert fields(listing.printed) <= fields(files)
    first = json.loads(files)["images"][0]
    assert (first["filename"], first["status"]) == ("chair.jpg", "succeeded")
    assert (first["files"][0]["kind"], first["files"][0]["format"]) == ("model", "glb")

    shell.run(download)
    model = (shell.folder / "chair.glb").read_bytes()
    assert model[:4] == b"glTF"
    assert f"glTF binary model, version {model[4]}" in kind.printed
    assert len(model) == first["files"][0]["size"]
