"""What tests ask about processes of the machine, read from /proc."""

from contextlib import suppress
from pathlib import Path


def is_gone(pid: int) -> bool:
    """Whether a process has ended. One that waits to be reaped by its new parent counts as ended."""
    try:
        state = _after_name(Path(f"/proc/{pid}/stat"))[0]
    except (FileNotFoundError, ProcessLookupError):  # the latter where it ends between opening and reading
        return True
    return state in {"Z", "X"}


def children_of(pid: int) -> list[int]:
    """Every process whose parent is `pid`, and theirs."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(FileNotFoundError, ProcessLookupError):
                parents[int(entry.name)] = int(_after_name(entry / "stat")[1])
    found = [child for child, parent in parents.items() if parent == pid]
    return found + [grandchild for child in found for grandchild in children_of(child)]


def command_of(pid: int) -> str:
    """The command line of a process; empty when it has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def _after_name(stat: Path) -> list[str]:
    return stat.read_text().rpartition(")")[2].split()
