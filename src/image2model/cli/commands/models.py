"""`image2model models`: the models on offer, and the refresh of FAL's list."""

import asyncio
from collections.abc import Sequence
from fnmatch import fnmatchcase

import click

from image2model.cli.connection import client, json_option, service_options
from image2model.cli.output import print_json, print_table, table_of
from image2model.client import AsyncClient
from image2model.client.model_documents import Model, ModelList


class _ModelsGroup(click.Group):
    """Anything but the name of a subcommand is a pattern of the list."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Click's hook."""
        if not any(argument in self.commands for argument in args[:1]):
            args = ["list", *args] if args[:1] not in (["--help"], ["-h"]) else args
        return super().parse_args(ctx, args)


@click.group(cls=_ModelsGroup, short_help="List the models on offer, with prices and parameters.")
def command() -> None:
    """List the models on offer: `image2model models [PATTERN]`, the same as `image2model models list`.

    `image2model models refresh` lets the service read FAL's list now.
    """


@command.command("list")
@click.argument("pattern", default="*")
@service_options
@json_option
def listing(pattern: str, url: str | None, key: str | None, as_json: bool) -> int:
    """List the models on offer whose id matches PATTERN, such as 'fal-ai/*' or hunyuan.

    A pattern without `*` and `?` is looked for anywhere in the id. Exit code 1 if none matches.
    """
    found = asyncio.run(_models(client(url, key)))
    models = [model for model in found.models if _matches(model.id, pattern)]
    if as_json:
        print_json(models)
    else:
        _show(models)
        click.echo(_source(found), err=True)
    return 0 if models else 1


@command.command()
@service_options
def refresh(url: str | None, key: str | None) -> None:
    """Let the service read FAL's list now. Needs a key with the role `admin`."""
    asyncio.run(_refresh(client(url, key)))
    click.echo("A worker reads FAL's list now; `image2model models` shows when it was read.")


async def _models(service: AsyncClient) -> ModelList:
    async with service:
        return await service.models()


async def _refresh(service: AsyncClient) -> None:
    async with service:
        await service.refresh_models()


def _matches(model: str, pattern: str) -> bool:
    if not set("*?[") & set(pattern):
        pattern = f"*{pattern}*"
    return fnmatchcase(model, pattern)


def _show(models: Sequence[Model]) -> None:
    from rich.markup import escape

    table = table_of("id", "price", "license", "parameters", "needs")
    for model in models:
        cells = (model.id, _price(model), model.license or "", _parameters(model), model.needs or "")
        table.add_row(*map(escape, cells))
    print_table(table)


def _price(model: Model) -> str:
    if model.price is None:
        return model.price_note or "not known"
    return f"${model.price.usd:g}"


def _parameters(model: Model) -> str:
    properties = model.params.get("properties")
    return " ".join(properties) if isinstance(properties, dict) else ""


def _source(found: ModelList) -> str:
    if found.source == "fal":
        return f"{len(found.models)} models; FAL's list of {found.updated_at}"
    return f"{len(found.models)} models, as they come with this release: FAL's list was not read yet"
