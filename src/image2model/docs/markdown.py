"""Markdown from rows. Who calls it: the pages."""

from collections.abc import Iterable


def table(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A table; the cells are Markdown already, on one line each."""
    names = list(heads)
    lines = [names, ["---"] * len(names), *rows]
    return "\n".join(f"| {' | '.join(map(_cell, line))} |" for line in lines) + "\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def page(title: str, *parts: str) -> str:
    """A whole page, with the note that nobody edits it."""
    note = "<!-- Made by `python -m image2model.docs`; edit the code that it is made from. -->"
    return "\n".join([note, "", f"# {title}", "", *parts])
