"""What every client command shares: `--url`, `--key`, `--json`, and the client made of them.

Who calls it: the client commands.
"""

from collections.abc import Callable
from typing import TypeVar

import click
import msgspec

from image2model.client import AsyncClient
from image2model.settings import load

_F = TypeVar("_F", bound=Callable[..., object])


def connected(command: _F) -> _F:
    """Adds `--url` and `--key`, which default to I2M_URL and I2M_API_KEY."""
    return _addressed(command, "The service; default: I2M_URL, or http://127.0.0.1:8000.")


def connected_or_local(command: _F) -> _F:
    """Adds `--url` and `--key`; without `--url` the command works on the store itself."""
    return _addressed(command, "The service; default: the store itself, without the service.")


def _addressed(command: _F, url_help: str) -> _F:
    command = click.option("--key", help="API key; default: I2M_API_KEY.")(command)
    return click.option("--url", help=url_help)(command)


def for_scripts(command: _F) -> _F:
    """Adds `--json`."""
    return click.option("--json", "as_json", is_flag=True, help="JSON on standard output, for scripts.")(
        command
    )


def client(url: str | None, key: str | None, *, patience: float = 60.0) -> AsyncClient:
    """The client of `--url` and `--key`. Raises ConfigurationError."""
    given = {"url": url, "api_key": key}
    settings = load(None, **{name: value for name, value in given.items() if value})
    return AsyncClient(settings.url, settings.api_key, patience=patience)


def print_json(document: object) -> None:
    """One document, as one line."""
    click.echo(msgspec.json.encode(document).decode())
