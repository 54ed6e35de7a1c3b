"""What the commands that send pictures share: `--out`, `--model`, `--params`, `--face-limit`.

Who calls it: `submit`, `watch` and `quote`.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

import click
import msgspec

_F = TypeVar("_F", bound=Callable[..., object])


class JsonObject(click.ParamType[dict[str, object]]):
    """A JSON object on the command line."""

    name = "json"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> dict[str, object]:
        """Click's hook. Fails with a usage error."""
        try:
            return msgspec.json.decode(value, type=dict[str, object])
        except msgspec.DecodeError as error:
            self.fail(f"{value!r} is no JSON object: {error}", param, ctx)


_OPTIONS: Final = (
    click.option(
        "--out",
        type=click.Path(file_okay=False, path_type=Path),
        default=Path("models"),
        show_default=True,
        help="Folder for the models.",
    ),
    click.option("--model", help="The endpoint that makes the models; default: the service's."),
    click.option("--params", type=JsonObject(), help="Its parameters, as a JSON object."),
    click.option(
        "--face-limit", type=click.IntRange(1), help="Most faces of a model, where it can be limited."
    ),
)


def shared_options(command: _F) -> _F:
    """Adds the four."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command
