"""`image2model derive JOB IMAGE --model ID`."""

import asyncio
from pathlib import Path

import click

from image2model.cli.connection import client, json_option, service_options
from image2model.cli.options import JsonObject
from image2model.cli.output import print_job
from image2model.client import AsyncClient, Job


@click.command(short_help="Run a second step on a finished model.")
@click.argument("job_id", metavar="JOB")
@click.argument("image_id", metavar="IMAGE")
@click.option(
    "--model", required=True, help="FAL endpoint that takes a model: `image2model models` lists it."
)
@click.option(
    "--picture",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Picture for an endpoint that takes one too; default: the picture that the model was made of.",
)
@click.option("--params", type=JsonObject(), help="The endpoint's parameters, as a JSON object.")
@click.option("--file", help="Kind of the file to start from, as in `status --json`; default: the model.")
@click.option(
    "--max-cost",
    metavar="USD",
    type=click.FloatRange(0, min_open=True),
    help="The most that it may cost, in dollars. Needed where the price is not known before the run.",
)
@service_options
@json_option
def command(
    job_id: str,
    image_id: str,
    model: str,
    picture: Path | None,
    params: dict[str, object] | None,
    file: str | None,
    max_cost: float | None,
    url: str | None,
    key: str | None,
    as_json: bool,
) -> None:
    """Run a second step on a finished model: another texture, fewer faces, parts, a skeleton, an animation.

    It is a new job of one image, with a cost of its own. `image2model status JOB` says when it has ended,
    and `image2model download JOB` fetches its model. The first model stays as it is. The same step again
    costs nothing: the service already has its model.
    """

    async def ask(service: AsyncClient) -> Job:
        async with service:
            return await service.derive(
                job_id,
                image_id,
                model=model,
                picture=picture,
                params=params,
                file=file,
                max_cost_usd=max_cost,
            )

    print_job(asyncio.run(ask(client(url, key))), as_json=as_json)
