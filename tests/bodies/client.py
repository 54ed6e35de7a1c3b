"""One client of the table: what it is, how it sends, and which names its bodies carry."""

import os
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.bodies.pictures import SHOWN

PROGRAMS: Final = Path(__file__).parent / "clients"
_DEADLINE_S: Final = 90


@dataclass(frozen=True)
class Sent:
    """What a client said: its version, and the body of the answer that it got."""

    version: str
    answer: str


Send = Callable[[str, list[Path], Path], Sent]
"""Gets the address to upload to, the pictures, and a folder for what it builds."""


@dataclass(frozen=True)
class Client:
    """`kind` is `real` where the library itself writes the body, `shape` where we write it as it does.

    `pictures` are the numbers of those that it can send, and `shown` their names as the service shows them.
    `any_order`: it writes its parts in the order in which it has read the files. `fields`: it can send some.
    `origin` says where a shape was read.
    """

    name: str
    send: Send
    kind: str = "real"
    pictures: tuple[int, ...] = (0, 1, 2)
    shown: tuple[str, ...] = SHOWN
    any_order: bool = False
    fields: bool = True
    origin: str = ""
    heavy: bool = False
    """It needs a toolchain that only the long tests may ask for."""


def run(command: Sequence[str | Path], folder: Path, **environment: str) -> str:
    """What the command prints. Raises AssertionError with its error output if it fails."""
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "LC_ALL": "C.UTF-8", **environment},
        capture_output=True,
        timeout=_DEADLINE_S,
        check=False,
    )
    assert done.returncode == 0, f"{command[0]}: {done.stderr.decode(errors='replace')[-2000:]}"
    return done.stdout.decode()


def program(*command: str | Path, **environment: str) -> Send:
    """A program that takes the address and the paths, and prints its version in a line, then the answer."""

    def send(url: str, paths: list[Path], folder: Path) -> Sent:
        version, _, answer = run([*command, url, *paths], folder, **environment).partition("\n")
        return Sent(version, answer)

    return send


Command = Callable[[Path], list[str | Path]]


def compiled(binary: str, build: Command, start: Command) -> Callable[[str], Send]:
    """Programs of one source, which is compiled once in a folder to `binary`. The result takes the library's
    name. `build` and `start` get the path of the binary."""

    def library(name: str) -> Send:
        def send(url: str, paths: list[Path], folder: Path) -> Sent:
            built = folder / binary
            if not built.exists():
                run(build(built), folder)
            return program(*start(built), name)(url, paths, folder)

        return send

    return library
