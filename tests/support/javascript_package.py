"""The JavaScript client as its users get it: packed by npm, installed into an empty folder, compiled against.

Who uses it: the tests of the package, and of the documentation's page about it.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from playwright.async_api import Page, async_playwright

from tests.support.javascript import PACKAGE

_TOOLS: Final = PACKAGE / "node_modules"
_SECONDS: Final = 110
DOM: Final = ("es2022", "dom", "dom.iterable", "dom.asynciterable")
"""The libraries of a program for browsers."""
SESSION: Final = Path(__file__).parents[1] / "javascript"
"""The folder of the programs in TypeScript."""


def run(*command: str | Path, folder: Path) -> str:
    """The standard output. Raises AssertionError with all that it said when it fails."""
    done = subprocess.run(
        list(map(str, command)),
        cwd=folder,
        env={**os.environ, "PYTHON": sys.executable},
        capture_output=True,
        text=True,
        timeout=_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def packed(folder: Path) -> tuple[Path, dict[str, Any]]:
    """The tarball and what npm says of it. It is made of a copy, so that runs side by side do not meet."""
    assert _TOOLS.is_dir(), "run `make setup-test` first: the JavaScript client's tools are not installed"
    copy = folder / "client"
    shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("node_modules", "types"))
    (copy / "node_modules").symlink_to(_TOOLS)
    (said,) = json.loads(run("npm", "pack", "--json", "--silent", folder=copy))
    return copy / said["filename"], said


def installed(tarball: Path, folder: Path) -> Path:
    """An empty folder with the package in it, and nothing else."""
    folder.mkdir()
    (folder / "package.json").write_text('{"type": "module", "private": true}')
    run("npm", "install", "--offline", "--silent", "--no-audit", "--no-fund", tarball, folder=folder)
    return folder


def compiled(folder: Path, *programs: str) -> None:
    """Make JavaScript of programs of the session's folder, without a look at their types."""
    _tsc(folder, programs, noCheck=True)


def checked(folder: Path, program: str | Path, *, lib: tuple[str, ...], types: tuple[str, ...]) -> None:
    """Check a program, and the package's own types with it. Raises AssertionError with what tsc finds."""
    strict = {"strict": True, "noUncheckedIndexedAccess": True, "exactOptionalPropertyTypes": True}
    _tsc(folder, [str(program)], **strict, lib=lib, types=types, noEmit=True, skipDefaultLibCheck=True)


def _tsc(folder: Path, programs: Sequence[str], **options: object) -> None:
    for program in programs:
        if not (folder / program).exists():
            shutil.copy(SESSION / program, folder)
    options |= {"target": "es2022", "module": "nodenext", "typeRoots": [str(_TOOLS / "@types")]}
    (folder / "tsconfig.json").write_text(json.dumps({"compilerOptions": options, "files": programs}))
    run(_TOOLS / ".bin/tsc", "-p", ".", folder=folder)


@asynccontextmanager
async def browser_page(url: str) -> AsyncIterator[Page]:
    """A browser's page at `url`."""
    flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path="/usr/bin/chromium", args=flags)
        page = await browser.new_page()
        await page.goto(url)
        yield page
        await browser.close()
