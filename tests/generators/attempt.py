"""One generator tried on the document of a running service, by the commands of the page.

Who calls it: the tests, and `make generators`, which prints a table of all. What is made stays in a folder
that the caller removes.
"""

import itertools
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests.generators import compilers
from tests.generators.toolbox import MODULES, run, version
from tests.site.pages import DOCS, Block, blocks_by_heading
from tests.support.sketches import picture

PAGE: Final = DOCS / "howto/generate.md"
URL: Final = "http://127.0.0.1:8000"
"""What the page prints."""
TSCONFIG: Final = "tsconfig.json"
REFUSED: Final = "not_an_image notes.txt"
"""How each program ends: with the code of the refusal, and the file to blame."""
MODELS: Final = ("chair.glb", "lamp.glb")
_seeds = itertools.count(9000)


@dataclass
class Attempt:
    """What became of one generator. `note` says why something failed, or was not tried."""

    tool: str
    version: str
    made: bool = False
    compiled: bool = False
    ran: bool = False
    failed: bool = False
    seconds: float = 0.0
    note: str = ""
    said: str = field(default="", repr=False)


def tools() -> list[str]:
    """The generators of the page, by its headings."""
    return [name for name in blocks_by_heading(PAGE) if name]


def attempt(tool: str, url: str, folder: Path) -> Attempt:
    """Generate the client; then run the page's program with it, or compile it where there is none.

    Raises AssertionError with what a command said that failed, or what a program did not do.
    """
    began = time.monotonic()
    package = tool.partition(":")[0].replace("openapi-generator", "openapi-generator-cli")
    found = Attempt(tool, version(package))
    sections = blocks_by_heading(PAGE)
    blocks = sections[tool]
    _lay_out(
        folder, [*(one for part in sections.values() for one in part if one.title == TSCONFIG), *blocks], url
    )
    (generate, *program) = [one.text for one in blocks if one.language == "sh" and not one.skipped]
    fetch = "\n".join(one.text for one in sections[""] if one.language == "sh")
    run(f"{fetch}\n{generate}".replace(URL, url), folder)
    found.made = True
    if program:
        found.said = run("\n".join(program), folder)
        _check_session(folder, found.said)
        found.compiled = found.ran = True
    else:
        found.note = compilers.of(tool)(folder)
        found.compiled = not found.note
    found.seconds = time.monotonic() - began
    return found


def _lay_out(folder: Path, blocks: list[Block], url: str) -> None:
    """The files of the page, the pictures that its programs send, and the packages from npm."""
    for block in blocks:
        if block.title:
            (folder / block.title).write_text(block.text.replace(URL, url), encoding="utf-8")
    for name in ("chair.jpg", "lamp.jpg"):
        (folder / name).write_bytes(picture(fmt="JPEG", seed=next(_seeds)))
    (folder / "notes.txt").write_text("not a picture")
    (folder / "node_modules").symlink_to(MODULES)


def _check_session(folder: Path, said: str) -> None:
    assert said.splitlines()[-1:] == [REFUSED], said
    for name in MODELS:
        assert (folder / name).read_bytes()[:4] == b"glTF", f"{name} is no model"
