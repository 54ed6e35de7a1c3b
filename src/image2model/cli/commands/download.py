"""`image2model download JOB`: the models of a job into a folder."""

import asyncio
from collections.abc import Mapping
from itertools import count
from pathlib import Path

import click

from image2model.cli.advice import advice
from image2model.cli.connection import client, json_option, raise_first_error, service_options
from image2model.cli.output import print_json
from image2model.client import AsyncClient, Image, Job
from image2model.shielded import in_thread


@click.command(short_help="Download the models of a job.")
@click.argument("job_id", metavar="JOB")
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("models"),
    show_default=True,
    help="Folder in which to save the models.",
)
@service_options
@json_option
def command(job_id: str, out: Path, url: str | None, key: str | None, as_json: bool) -> int:
    """Download the finished models of a job.

    Each gets its picture's name with `.glb`; a second one of the same name gets `-2`. A file with the same
    name and size is taken for the model and kept; any other file of that name is replaced.
    Exit code 1 if a picture of the job has no model (yet).
    """
    job, saved = asyncio.run(_download(client(url, key), job_id, out))
    missing = [image for image in job.images if image.image_id not in saved]
    if as_json:
        print_json({"job_id": job.job_id, "status": job.status, "files": saved})
    else:
        for file in saved.values():
            click.echo(file)
        for image in missing:
            click.echo(f"no model of {image.filename}: {_why(image)}", err=True)
    return 1 if missing else 0


async def _download(service: AsyncClient, job_id: str, out: Path) -> tuple[Job, dict[str, str]]:
    async with service:
        job = await service.job(job_id)
        names = model_names(job)
        with raise_first_error():
            async with asyncio.TaskGroup() as group:
                for image in job.images:
                    if image.image_id in names:
                        group.create_task(_save(service, job_id, image, out / names[image.image_id]))
    return job, {image_id: str(out / name) for image_id, name in names.items()}


def model_names(job: Job) -> Mapping[str, str]:
    """A file name for each image that has a model, by image id, in the order of the batch."""
    names: dict[str, str] = {}
    taken: set[str] = set()
    for image in sorted(job.images, key=lambda image: image.index):
        if image.result and image.result.model:
            name = _free(image.stem or "model", image.result.model.format, taken)
            taken.add(name.casefold())
            names[image.image_id] = name
    return names


def _free(stem: str, suffix: str, taken: set[str]) -> str:
    tries = (f"{stem}.{suffix}" if number == 1 else f"{stem}-{number}.{suffix}" for number in count(1))
    return next(name for name in tries if name.casefold() not in taken)


async def _save(service: AsyncClient, job_id: str, image: Image, target: Path) -> None:
    size = image.result.model.size if image.result and image.result.model else None
    if size is not None and await in_thread(_has_size, target, size):
        return
    await service.download(job_id, image.image_id, target, size=size)


def _has_size(path: Path, size: int) -> bool:
    return path.is_file() and path.stat().st_size == size


def _why(image: Image) -> str:
    if image.error is None:
        return f"it is {image.status}"
    return f"{image.error.code}: {image.error.message} {advice(image.error.code)}".rstrip()
