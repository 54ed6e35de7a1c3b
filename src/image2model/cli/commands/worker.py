"""`image2model worker`: one worker process, for real deployments."""

from typing import Final

import click

from image2model.cli.process import lean_imports, raise_open_file_limit
from image2model.settings import load

QUEUES: Final = ("model_generation", "batch_processing", "maintenance", "picture_fetch")


def _queues(_context: click.Context, _parameter: click.Parameter, text: str) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(word.strip() for word in text.split(",") if word.strip()))
    unknown = [name for name in names if name not in QUEUES]
    if unknown or not names:
        raise click.BadParameter(f"must be one or more of {', '.join(QUEUES)}, separated by commas")
    return names


@click.command(short_help="Run one worker process.")
@click.option(
    "--queues",
    default=",".join(QUEUES),
    show_default=True,
    callback=_queues,
    help="The queues to serve, separated by commas.",
)
def command(queues: tuple[str, ...]) -> None:
    """Run one worker process.

    One process keeps I2M_WORKER_CONCURRENCY generations in flight. On SIGTERM or Ctrl-C it releases
    its images within I2M_SHUTDOWN_GRACE; another worker continues them. With I2M_WORKER_MAX_IMAGES or
    I2M_WORKER_MAX_MEMORY it ends by itself, with 0, for whatever supervises it to start a new one.
    """
    raise_open_file_limit()
    settings = load()
    with lean_imports():
        from image2model.telemetry import logs

        logs.configure(settings, "worker")
        from image2model.worker.process import run

    run(settings, queues)
