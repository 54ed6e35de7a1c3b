"""`compose.yaml` as Docker Compose reads it: variables filled in from an environment.

Who calls it: the container tests. No engine is needed.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
COMPOSE = ROOT / "compose.yaml"
_VARIABLE = re.compile(r"\$\{(?P<name>\w+)(?::(?P<kind>[-?])(?P<word>[^}]*))?\}")


def compose(environment: Mapping[str, str] | None = None, path: Path = COMPOSE) -> dict[str, Any]:
    """The document. KeyError with the message of a variable that must be set and is not."""
    given = {"I2M_REDIS_PASSWORD": "secret"} if environment is None else environment

    def value(found: re.Match[str]) -> str:
        if given.get(found["name"]):
            return given[found["name"]]
        if found["kind"] == "?":
            raise KeyError(found["word"])
        return found["word"] or ""

    def fill(node: Any) -> Any:
        if isinstance(node, dict):
            return {key: fill(one) for key, one in node.items()}
        if isinstance(node, list):
            return [fill(one) for one in node]
        return _VARIABLE.sub(value, node) if isinstance(node, str) else node

    return dict(fill(yaml.safe_load(path.read_text())))


def published(document: Mapping[str, Any]) -> dict[str, list[str]]:
    """The services with published ports."""
    return {name: one["ports"] for name, one in document["services"].items() if "ports" in one}


def networks_of(document: Mapping[str, Any], service: str) -> set[str]:
    """The networks of a service."""
    return set(document["services"][service]["networks"])
