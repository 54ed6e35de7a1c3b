"""Draws counted call stacks as a flame graph in SVG: a frame is as wide as its share of all samples.

Who calls it: `tests.bench.flames`. Pure text; the names of frames appear when the pointer rests on them.
"""

from collections import Counter
from collections.abc import Iterator
from html import escape
from typing import Final

import msgspec

from tests.bench.stacks import Stack

_WIDTH: Final = 1200
_ROW: Final = 17
_TOP: Final = 30
_LETTER: Final = 6.6
_LEAST: Final = 0.6
"""A frame that is narrower, in pixels, is left out."""
_STYLE: Final = "text{font:11px monospace;fill:#222}.o{fill:#8ec5ff}.l{fill:#ffd08a}.c{fill:#d5d5d5}"


class _Frame(msgspec.Struct):
    """A call and what it called, with the samples in which it was on the stack."""

    name: str
    samples: int = 0
    calls: dict[str, "_Frame"] = {}


def draw(title: str, stacks: Counter[Stack]) -> str:
    """The whole picture, the outermost calls at the top: ours blue, libraries' orange, C functions grey."""
    root = _tree(stacks)
    boxes = list(_boxes(root, 0, 0.0, _WIDTH / max(root.samples, 1)))
    height = _TOP + _ROW * (1 + max((depth for depth, _ in boxes), default=0))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{height}" '
        f'viewBox="0 0 {_WIDTH} {height}"><style>{_STYLE}</style>'
        '<rect width="100%" height="100%" fill="#fff"/>'
        f'<text x="6" y="19">{escape(title)}, {root.samples:,} samples</text>\n'
        + "\n".join(box for _, box in boxes)
        + "\n</svg>\n"
    )


def _tree(stacks: Counter[Stack]) -> _Frame:
    root = _Frame("all", stacks.total())
    for stack, samples in stacks.items():
        at = root
        for name in stack:
            at = at.calls.setdefault(name, _Frame(name))
            at.samples += samples
    return root


def _boxes(frame: _Frame, depth: int, left: float, scale: float) -> Iterator[tuple[int, str]]:
    """Depth and SVG of every call below this frame, the most frequent first."""
    for call in sorted(frame.calls.values(), key=lambda one: (-one.samples, one.name)):
        width = call.samples * scale
        if width < _LEAST:
            return
        yield depth, _box(call, depth, left, width, call.samples * scale / _WIDTH)
        yield from _boxes(call, depth + 1, left, scale)
        left += width


def _box(frame: _Frame, depth: int, left: float, width: float, share: float) -> str:
    top = _TOP + depth * _ROW
    shown = frame.name[: int((width - 6) / _LETTER)]
    text = f'<text x="{left + 3:.1f}" y="{top + 12}">{escape(shown)}</text>' if len(shown) > 2 else ""
    size = f'width="{max(width - 0.4, 0.3):.1f}" height="{_ROW - 1}"'
    return (
        f"<g><title>{escape(frame.name)}: {share:.1%}</title>"
        f'<rect class="{_kind(frame.name)}" x="{left:.1f}" y="{top}" {size}/>{text}</g>'
    )


def _kind(name: str) -> str:
    if "(image2model/" in name or "(fal_emulator/" in name:
        return "o"
    return "l" if name.endswith(")") else "c"
