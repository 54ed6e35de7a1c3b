"""The JavaScript client as its users get it: packed by npm, installed into an empty folder, compiled against.

Who uses it: the tests of the package, and of the documentation's page about it.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from playwright.async_api import Page, async_playwright

from tests.support.javascript import PACKAGE

_TOOLS: Final = PACKAGE / "node_modules"
_SECONDS: Final = 250
DOM: Final = ("es2022", "dom", "dom.iterable", "dom.asynciterable")
"""The libraries of a program for browsers."""
_TRANSPILE: Final = """
const { ModuleKind, ScriptTarget, transpile } = require(process.argv[1]);
const text = require('node:fs').readFileSync(process.argv[2], 'utf8');
process.stdout.write(transpile(text, { module: ModuleKind.ES2022, target: ScriptTarget.ES2022 }));
"""
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
    for program in programs:
        shutil.copy(SESSION / program, folder)  # what imports it is checked against it
        made = run("node", "--eval", _TRANSPILE, _TOOLS / "typescript", SESSION / program, folder=folder)
        (folder / program).with_suffix(".js").write_text(made, encoding="utf-8")


def checked(folder: Path, program: Path, *, lib: tuple[str, ...], types: tuple[str, ...]) -> None:
    """Check a program strictly, and the package's types too. Raises AssertionError with what tsc finds."""
    shutil.copy(program, folder)
    options = {
        "strict": True,
        "noUncheckedIndexedAccess": True,
        "exactOptionalPropertyTypes": True,
        "target": "es2022",
        "module": "nodenext",
        "noEmit": True,
        "skipDefaultLibCheck": True,
        "lib": lib,
        "types": types,
        "typeRoots": [str(_TOOLS / "@types")],
    }
    described = {"compilerOptions": options, "files": [program.name]}
    (folder / "tsconfig.json").write_text(json.dumps(described))
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
