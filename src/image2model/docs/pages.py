"""Which pages there are. Who calls it: the program, and a test."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from image2model.docs import api_page, errors_page, metrics_page, settings_page

PAGES: Final[Mapping[str, Callable[[], str]]] = MappingProxyType(
    {
        "api.md": api_page.render,
        "errors.md": errors_page.render,
        "metrics.md": metrics_page.render,
        "settings.md": settings_page.render,
    }
)
"""File names in `docs/`, and what makes them."""
