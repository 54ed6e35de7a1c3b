"""A figure counts only where its load was really there: these raise for a load that stopped or did nothing.

Who calls it: the rows, when they have measured. The command then lists the row as one that could not run.
"""

from collections.abc import Iterable
from pathlib import Path

from tests.support.processes import is_gone
from tests.support.service_process import ServiceProcess


class NothingMeasured(AssertionError):
    """The load of a row stopped, or did not do what the row is about."""


def enough(what: str, done: float, wanted: float, least: float = 0.9) -> None:
    """Raises NothingMeasured where less than this share of what was wanted was done."""
    if wanted <= 0 or done < wanted * least:
        raise NothingMeasured(f"{what}: {done:g} of {wanted:g}")


def alive(processes: Iterable[ServiceProcess]) -> None:
    """Raises NothingMeasured, with the end of its log, for a process that has ended."""
    for process in processes:
        if is_gone(process.pid):
            raise NothingMeasured(
                f"a process of the service ended by itself:\n{process.log.read_text()[-2000:]}"
            )


def stored_bytes(folder: Path) -> int:
    """Bytes of all files below a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
