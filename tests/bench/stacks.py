"""Call stacks that a profiler has counted: read from py-spy and perf, without where this machine keeps files.

Who calls it: `tests.bench.flames`. Pure functions over text.
"""

import re
from collections import Counter
from collections.abc import Callable
from typing import Final

Stack = tuple[str, ...]
"""From the outermost call to the innermost, each `function (module/file.py)` or a C function's name."""

_OURS: Final = ("(image2model/", "(fal_emulator/")
_PYTHON_FRAME: Final = re.compile(r"^(?P<function>.+) \((?P<file>[^()]*?)(?::\d+)?\)$")
_PERF_FRAME: Final = re.compile(
    r"^\s+[0-9a-f]+ (?P<symbol>.+?)(?:\+0x[0-9a-f]+)? \([^()]*\)(?: \(deleted\))?$"
)
_ROOTS: Final = re.compile(r"^.*/(?:site-packages|lib-dynload|python3\.\d+|src)/")
_ENTRY: Final = ("asyncio/runners.py", "uvloop/__init__.py", "threading.py", "concurrent/futures/thread.py")
_LOOP: Final = (
    *("_start", "__libc_start_main_impl", "__libc_start_call_main", "main"),
    *("aeMain", "aeProcessEvents", "beforeSleep"),
)
_COMMAND: Final = re.compile(r"^(?!process|after)[a-z]+Command$")
_SCRIPT: Final = re.compile(r"^(?:eval|fcall)[A-Za-z]*Command$|^scriptingEngineCallFunction$")


def from_py_spy(text: str) -> Counter[Stack]:
    """The stacks of `py-spy record --format raw`, without what starts a process, a loop or a thread.

    A thread of a library's own, which only waits for the interpreter, has no frame and is left out.
    """
    found: Counter[Stack] = Counter()
    for line in text.splitlines():
        joined, _, count = line.rpartition(" ")
        if not joined:
            continue
        frames = tuple(map(_python_frame, joined.split(";")))
        entries = [number for number, frame in enumerate(frames) if _file_of(frame) in _ENTRY]
        found[frames[max(entries) + 1 :] if entries else frames] += int(count)
    return found


def from_perf(text: str) -> Counter[Stack]:
    """The stacks of `perf script`, without functions that have no name.

    Samples are paragraphs: a head line, then the calls, the innermost first.
    """
    found: Counter[Stack] = Counter()
    for sample in text.split("\n\n"):
        matched = [_PERF_FRAME.match(line) for line in sample.splitlines()[1:]]
        frames = tuple(one["symbol"] for one in reversed(matched) if one and one["symbol"] != "[unknown]")
        if frames:
            found[frames] += 1
    return found


def largest(
    stacks: Counter[Stack], label: Callable[[Stack], str], count: int = 10
) -> list[tuple[str, float]]:
    """What costs most by its label, with its share of all samples, the largest first."""
    by_label: Counter[str] = Counter()
    for stack, samples in stacks.items():
        by_label[label(stack)] += samples
    return [(name, samples / stacks.total()) for name, samples in by_label.most_common(count)]


def python_cost(stack: Stack) -> str:
    """The innermost function of ours, with what it calls in libraries. Else the outermost of a library's."""
    ours = [frame for frame in stack if any(place in frame for place in _OURS)]
    return ours[-1] if ours else stack[0] if stack else "the event loop itself: sockets, timers"


def store_cost(stack: Stack) -> str:
    """The store's command, and not the script that calls it; else what the store did outside commands."""
    inner = [frame for frame in stack if _COMMAND.match(frame) and not _SCRIPT.match(frame)]
    if inner:
        return inner[-1]
    if any(map(_SCRIPT.match, stack)):
        return "scripts themselves"
    return next((frame for frame in stack if frame not in _LOOP), stack[-1])


def _python_frame(frame: str) -> str:
    matched = _PYTHON_FRAME.match(frame)
    if matched is None:
        return _ROOTS.sub("", frame)
    return f"{matched['function']} ({_ROOTS.sub('', matched['file'])})"


def _file_of(frame: str) -> str:
    return frame.rpartition(" (")[2].removesuffix(")")
