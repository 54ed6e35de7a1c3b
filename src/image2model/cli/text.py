"""Numbers, sizes, times and costs in words for people."""

from datetime import datetime

from image2model.domain import Mesh


def counted(count: int, thing: str) -> str:
    """`1 picture`, `2,048 triangles`, `3 processes`."""
    ending = "" if count == 1 else "es" if thing.endswith("s") else "s"
    return f"{count:,} {thing}{ending}"


def size(count: int) -> str:
    """A number of bytes, in decimal units."""
    if count < 1000:
        return f"{count} B"
    return f"{count / 1e3:.0f} kB" if count < 1e6 else f"{count / 1e6:.1f} MB"


def seconds(amount: float) -> str:
    """A span of time: `4.2 s`, `3 min 05 s`, `2 h 03 min`."""
    if amount < 60:
        return f"{amount:.1f} s"
    minutes, rest = divmod(round(amount), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def dollars(amount: float | None) -> str:
    """Two decimals, or four for less than a cent."""
    if amount is None:
        return "not known"
    return f"${amount:.2f}" if amount == 0 or amount >= 0.01 else f"${amount:.4f}"


def extent(mesh: Mesh) -> str:
    """Width × height × depth, in the model's own units."""
    low, high = mesh.bounds
    return " × ".join(f"{upper - lower:.2f}" for lower, upper in zip(low, high, strict=True))


def span(start: str | None, end: str | None) -> float | None:
    """Seconds between two RFC 3339 times; None where one is missing or cannot be read."""
    if not start or not end:
        return None
    try:
        return (datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds()
    except (ValueError, TypeError):
        return None
