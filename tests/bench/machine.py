"""What the kernel says of this machine and of a process: cores, memory, load, CPU seconds, resident bytes.

Who calls it: the rows, and the table's head. Linux only.
"""

import os
import platform
from pathlib import Path

_MIB = 1024 * 1024


def describe() -> str:
    """The machine in one line."""
    cpu = next(
        (line.partition(":")[2].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")),
        platform.machine(),
    )
    memory = int(next(line for line in _lines("/proc/meminfo") if line.startswith("MemTotal")).split()[1])
    system = f"{platform.system()} {platform.release()}, Python {platform.python_version()}"
    return f"{os.cpu_count()} x {cpu}, {memory / _MIB:.0f} GiB, {system}"


def load() -> float:
    """The load average over the last minute: above the number of cores others are at work too."""
    return os.getloadavg()[0]


def cpu_seconds(pid: int) -> float:
    """CPU that a process has used so far, user and system."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_mib(pid: int) -> float:
    """Resident memory now."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / _MIB


def tree_mib(pid: int) -> float:
    """Resident memory now of a process and its children, and theirs. What has ended meanwhile has none."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return resident_mib(pid) + sum(tree_mib(int(child)) for child in children)
    except (FileNotFoundError, ProcessLookupError):
        return 0.0


def forget_peak(pid: int) -> None:
    """Let `peak_mib` begin anew."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def peak_mib(pid: int) -> float:
    """The most resident memory since the start, or since `forget_peak`."""
    peak = next(line for line in _lines(f"/proc/{pid}/status") if line.startswith("VmHWM"))
    return int(peak.split()[1]) / 1024


def _lines(path: str) -> list[str]:
    return Path(path).read_text().splitlines()
