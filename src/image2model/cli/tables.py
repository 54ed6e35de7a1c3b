"""Tables of words, as wide as they need to be where nothing but a program reads them.

Who calls it: `doctor` and `keys list`.
"""

import sys
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from rich.table import Table

_WHOLE: Final = frozenset({"id", "prefix"})  # what people copy stays on one line
_NO_TERMINAL: Final = 10_000  # a pipe has no width: a secret cut in two could not be copied out of it


def table_of(*titles: str) -> "Table":
    """A table with these columns and no frame."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for title in titles:
        table.add_column(title, overflow="fold", no_wrap=title in _WHOLE)
    return table


def print_table(table: "Table") -> None:
    """On standard output."""
    from rich.console import Console

    Console(width=None if sys.stdout.isatty() else _NO_TERMINAL).print(table)
