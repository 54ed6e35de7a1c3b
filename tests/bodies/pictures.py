"""What every client sends: three pictures with names that are hard to write, and three fields."""

from pathlib import Path
from typing import Final

from tests.support.sketches import picture

NAMES: Final = ("Stuhl größer.png", '椅子; 100% "neu".png', "zurück\\🪑 'c'.png")
"""As they are on the disk. What a backslash ends is a folder, for a client of Windows."""
SHOWN: Final = ("Stuhl größer.png", '椅子; 100% "neu".png', "🪑 'c'.png")
METADATA: Final = {"order": "Tür 7"}
"""Every client also sends an empty `model`, and that `no_cache` is true, as its language writes it."""


def written(folder: Path) -> list[Path]:
    """The files. They are as FAL takes them, so it gets the same bytes."""
    paths = [folder / name for name in NAMES]
    for seed, path in enumerate(paths):
        path.write_bytes(picture(seed=seed, size=(96, 72)))
    return paths
