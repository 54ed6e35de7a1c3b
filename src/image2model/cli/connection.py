"""The connection of client commands to the service: the options `--url`, `--key` and `--json`, and the client
itself.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, TypeVar
from urllib.parse import urlsplit, urlunsplit

import click

from image2model.client import AsyncClient
from image2model.errors import ConfigurationError
from image2model.settings import Settings, load

_F = TypeVar("_F", bound=Callable[..., object])
_API_PATH: Final = re.compile(r"/api/v\d+(/.*)?$")  # only with a version: a proxy may serve the root as /api


def service_options(command: _F) -> _F:
    """Adds `--url` and `--key`, which default to I2M_URL and I2M_API_KEY."""
    return _with_address(command, "The service's root; default: I2M_URL, or http://127.0.0.1:8000.")


def service_or_store_options(command: _F) -> _F:
    """Adds `--url` and `--key`; without `--url` the command works on the store itself."""
    return _with_address(command, "The service's root; default: the store itself, without the service.")


def _with_address(command: _F, url_help: str) -> _F:
    command = click.option("--key", help="API key; default: I2M_API_KEY.")(command)
    return click.option("--url", help=url_help)(command)


def json_option(command: _F) -> _F:
    """Adds `--json`."""
    return click.option("--json", "as_json", is_flag=True, help="JSON on standard output, for scripts.")(
        command
    )


def client(url: str | None, key: str | None, *, patience: float = 60.0) -> AsyncClient:
    """A client for `--url` and `--key`. Raises ConfigurationError."""
    settings = client_settings(url, key)
    return AsyncClient(settings.url, settings.api_key, patience=patience)


def client_settings(url: str | None, key: str | None) -> Settings:
    """The settings with `--url` and `--key`. Raises ConfigurationError, which names the option."""
    given = {"url": url, "api_key": key}
    try:
        settings = load(None, **{name: value for name, value in given.items() if value})
    except ConfigurationError as error:
        raise ConfigurationError([_named_as_given(problem, url, key) for problem in error.problems]) from None
    parts = urlsplit(settings.url)
    if _API_PATH.search(parts.path):
        root = urlunsplit((parts.scheme, parts.netloc, _API_PATH.sub("", parts.path), "", ""))
        problem = f"I2M_URL: must be the service's root, {root}, and not {settings.url}"
        raise ConfigurationError([_named_as_given(problem, url, key)])
    return settings


def _named_as_given(problem: str, url: str | None, key: str | None) -> str:
    """The problem under the option's name where the value came from an option."""
    for setting, option, value in (("I2M_URL:", "--url:", url), ("I2M_API_KEY:", "--key:", key)):
        if value and problem.startswith(setting):
            return option + problem.removeprefix(setting)
    return problem


@contextmanager
def raise_first_error() -> Iterator[None]:
    """Around an `asyncio.TaskGroup`: raises the first error of the group instead of the group."""
    try:
        yield
    except BaseExceptionGroup as several:
        error: BaseException = several
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        raise error from None
