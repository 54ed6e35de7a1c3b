"""`image2model up`: the whole service on one machine."""

import click

from image2model.cli.process import lean_imports, raise_open_file_limit
from image2model.up.plan import UpOptions


@click.command(short_help="Run the whole service on this machine.")
@click.option("--host", help="Address of the API; default: I2M_HOST, or 127.0.0.1.")
@click.option("--port", type=click.IntRange(0, 65535), help="Port of the API; default: I2M_PORT, or 8000.")
@click.option("--workers", help="Worker processes, 1 to 64 or `auto`; default: I2M_WORKERS, or 1.")
@click.option(
    "--emulator-port",
    type=click.IntRange(0, 65535),
    default=8001,
    show_default=True,
    help="Port of the FAL emulator, which runs if no FAL_KEY is set.",
)
@click.option("--latency", default="3s", show_default=True, help="Emulator: time of one generation.")
@click.option(
    "--concurrency",
    type=click.IntRange(1),
    default=1000,
    show_default=True,
    help="Emulator: generations at once.",
)
def command(
    host: str | None,
    port: int | None,
    workers: str | None,
    emulator_port: int,
    latency: str,
    concurrency: int,
) -> int:
    """Run the whole service on this machine.

    It runs an embedded Valkey, the workers and the API; without FAL_KEY also a FAL emulator, which costs
    nothing. Data is kept in I2M_DATA_DIR. Ctrl-C stops everything cleanly. Port 0 means any free port.

    The emulator keeps nothing: a picture that it was generating when `up` stopped fails with
    `result_expired` after the next start, and a retry makes it. The real FAL continues meanwhile.
    """
    raise_open_file_limit()
    with lean_imports():
        from image2model.up.run import run

    return run(
        UpOptions(
            host=host,
            port=port,
            workers=workers,
            emulator_port=emulator_port,
            latency=latency,
            concurrency=concurrency,
        )
    )
