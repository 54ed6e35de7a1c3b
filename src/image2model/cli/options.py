"""The options that the commands with pictures share: the paths, `--views`, `--out`, `--model`, `--params`,
`--face-limit`, `--max-cost`, `--jobs`.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

import click
import msgspec

from image2model.cli.submit.manifest import pairs
from image2model.cli.submit.options import Making
from image2model.domain import Metadata

_REMOVE: Final = "--remove-background"
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
            self.fail(f"{value!r} is not a JSON object: {error}", param, ctx)


_OPTIONS: Final = (
    click.option(
        "--out",
        type=click.Path(file_okay=False, path_type=Path),
        default=Path("models"),
        show_default=True,
        help="Folder in which to save the models.",
    ),
    click.option("--params", type=JsonObject(), help="The endpoint's parameters, as a JSON object."),
    click.option(
        "--face-limit",
        type=click.IntRange(1),
        help="Maximum number of faces, if the endpoint has such a limit.",
    ),
    click.option(
        "--max-cost",
        metavar="USD",
        type=click.FloatRange(0, min_open=True),
        help="The most that the pictures of this run may cost together, in dollars (`watch`: those that "
        "appear at once). Needed where the price is not known before the run.",
    ),
)


def input_options(command: _F) -> _F:
    """Adds the paths and `--views`."""
    command = click.option(
        "--views",
        metavar="DIR",
        type=click.Path(exists=True, file_okay=False, path_type=Path),
        help="Folder of objects: each folder in it is an object of several views, which becomes one model.",
    )(command)
    return click.argument("paths", nargs=-1, type=click.Path(exists=True, path_type=Path))(command)


class PictureCommand(click.Command):
    """A command whose `--remove-background` needs no value: click would take a path for it."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Click's hook."""
        whole = [f"{_REMOVE}=true" if one == _REMOVE else one for one in args]
        return super().parse_args(ctx, whole)


_MAKING: Final = (
    click.option(
        "--model",
        "models",
        multiple=True,
        help="FAL endpoint that makes the models; default: the service's. Several: each makes one.",
    ),
    click.option(
        "--variants",
        type=click.IntRange(1, 10),
        help="How many models of each picture, each with another seed.",
    ),
    click.option(
        _REMOVE,
        metavar="[=MODEL]",
        help="Remove the background first, by the service's endpoint for that or by another; it costs extra.",
    ),
    click.option("--crop", is_flag=True, help="Crop the picture to the object first."),
    click.option("--pad-square", is_flag=True, help="Pad the picture to a square first."),
    click.option(
        "--confirm-prepared",
        is_flag=True,
        help="Let each prepared picture wait until `image2model confirm` accepts it.",
    ),
)


def making_options(command: _F) -> _F:
    """Adds the models, `--variants`, and what is done with pictures before."""
    for option in reversed(_MAKING):
        command = option(command)
    return command


def pop_making(given: dict[str, Any]) -> Making:
    """The arguments of `making_options`, except the models, taken out of a command's."""
    return Making(**{name: given.pop(name) for name in Making.__struct_fields__})


def model_option(command: _F) -> _F:
    """Adds `--model`."""
    return click.option("--model", help="FAL endpoint that makes the models; default: the service's.")(
        command
    )


def parallel_option(command: _F) -> _F:
    """Adds `--jobs`."""
    return click.option(
        "--jobs",
        "at_once",
        type=click.IntRange(1, 100),
        default=20,
        show_default=True,
        help="How many batches to run at once.",
    )(command)


def _read_pairs(_ctx: click.Context, _param: click.Parameter, given: tuple[str, ...]) -> Metadata:
    return pairs(given)


def metadata_option(help_: str) -> Callable[[_F], _F]:
    """Adds `--metadata`, which may be repeated."""
    return click.option("--metadata", metavar="KEY=VALUE", multiple=True, callback=_read_pairs, help=help_)


def own_data_options(command: _F) -> _F:
    """Adds `--metadata` and `--manifest`."""
    command = click.option(
        "--manifest",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        help='JSON file with metadata of single pictures, by their paths relative to it: {"files": [{"file": '
        '"chair.png", "metadata": {"sku": "A-1"}}]}. An object is named by its folder.',
    )(command)
    return metadata_option("Your own data on the jobs, which `jobs --metadata` finds; may be repeated.")(
        command
    )


def shared_options(command: _F) -> _F:
    """Adds `--out`, `--params`, `--face-limit` and `--max-cost`."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command
