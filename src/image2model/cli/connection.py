"""Errors out of task groups as they were raised, for the callers that expect one.

Who calls it: the client commands that do several things at once.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, TypeVar
from urllib.parse import urlsplit, urlunsplit

import click
import msgspec

from image2model.client import AsyncClient
from image2model.errors import ConfigurationError
from image2model.settings import Settings, load


@contextmanager
def first_error() -> Iterator[None]:
    """Around an `asyncio.TaskGroup`: raises the first error of the group instead of the group."""
    try:
        yield
    except BaseExceptionGroup as several:
        error: BaseException = several
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        raise error from None


_F = TypeVar("_F", bound=Callable[..., object])
_INTERFACE: Final = re.compile(r"/api/v\d+(/.*)?$")  # a proxy may well serve the root as /api


def connected(command: _F) -> _F:
    """Adds `--url` and `--key`, which default to I2M_URL and I2M_API_KEY."""
    return _addressed(command, "The service's root; default: I2M_URL, or http://127.0.0.1:8000.")


def connected_or_local(command: _F) -> _F:
    """Adds `--url` and `--key`; without `--url` the command works on the store itself."""
    return _addressed(command, "The service's root; default: the store itself, without the service.")


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
    settings = address(url, key)
    return AsyncClient(settings.url, settings.api_key, patience=patience)


def address(url: str | None, key: str | None) -> Settings:
    """The settings with `--url` and `--key`. Raises ConfigurationError that names what was given."""
    given = {"url": url, "api_key": key}
    try:
        settings = load(None, **{name: value for name, value in given.items() if value})
    except ConfigurationError as error:
        raise ConfigurationError([_as_given(problem, url, key) for problem in error.problems]) from None
    parts = urlsplit(settings.url)
    if _INTERFACE.search(parts.path):
        root = urlunsplit((parts.scheme, parts.netloc, _INTERFACE.sub("", parts.path), "", ""))
        problem = f"I2M_URL: must be the service's root, {root}, and not {settings.url}"
        raise ConfigurationError([_as_given(problem, url, key)])
    return settings


def _as_given(problem: str, url: str | None, key: str | None) -> str:
    """A setting that was given by an option has the option's name."""
    for setting, option, value in (("I2M_URL:", "--url:", url), ("I2M_API_KEY:", "--key:", key)):
        if value and problem.startswith(setting):
            return option + problem.removeprefix(setting)
    return problem


def print_json(document: object) -> None:
    """One document, as one line."""
    click.echo(msgspec.json.encode(document).decode())
