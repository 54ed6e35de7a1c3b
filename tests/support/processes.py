"""What tests ask about processes of the machine, read from /proc."""

from pathlib import Path


def is_gone(pid: int) -> bool:
    """Whether a process has ended. One that waits to be reaped by its new parent counts as ended."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return True
    return state in {"Z", "X"}
