"""`image2model api`: one API process, for real deployments."""

import os

import click

from image2model.cli.process import lean_imports, raise_open_file_limit
from image2model.settings import load


@click.command(short_help="Run one API process.")
@click.option("--host", help="Address to listen on; default: I2M_HOST.")
@click.option("--port", type=click.IntRange(0, 65535), help="Port to listen on; default: I2M_PORT.")
def command(host: str | None, port: int | None) -> None:
    """Run one API process.

    It is stateless: run any number of them behind a proxy. SIGTERM and Ctrl-C stop it cleanly.
    """
    raise_open_file_limit()
    given = {"host": host, "port": None if port is None else str(port)}
    settings = load(None, **{name: value for name, value in given.items() if value})
    with lean_imports():
        from image2model.telemetry import logs

        logs.configure(settings, "api")
        from image2model import web
        from image2model.api.server import run

    origins = web.media_origins(settings, os.environ)
    run(settings, web.routes(origins, max_file_bytes=settings.max_file_bytes))
