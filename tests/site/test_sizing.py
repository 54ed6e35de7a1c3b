"""docs/operations/sizing.md plans with figures that were measured."""

import re

from tests.site.pages import DOCS


def test_figures_are_those_that_were_measured() -> None:
    page = (DOCS / "operations/sizing.md").read_text(encoding="utf-8")
    measured = (DOCS / "speed.md").read_text(encoding="utf-8")
    cells = [
        line.split("|")[2] for line in page.splitlines() if line.startswith(("| worker", "| API", "| store"))
    ]
    figures = [
        one for cell in cells for one in re.findall(r"\d[\d,.]*\d (?:ms|%|MiB|KiB|MB/s|req/s|bytes)", cell)
    ]
    assert len(figures) >= 14
    unknown = {one for one in figures if one.removesuffix(" bytes") not in measured}
    assert unknown == set()
