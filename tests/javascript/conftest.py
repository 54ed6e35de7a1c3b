"""The service's double, the package as its users get it, and the real service beside a site that calls it."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.responses import HTMLResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from tests.support.javascript_package import compiled, installed, packed
from tests.support.servers import serving
from tests.support.service import Service, running_service
from tests.support.up_process import Up

KEY = "an-admin-key-for-the-javascript-client"
_IMPORTS = {"imports": {"@image2model/client": "/node_modules/@image2model/client/src/index.js"}}
_PAGE = f'<!doctype html><title>a page</title><script type="importmap">{json.dumps(_IMPORTS)}</script>'


@pytest.fixture
def service() -> Iterator[Service]:
    with running_service() as service:
        yield service


@pytest.fixture(scope="module")
def pack(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    return packed(tmp_path_factory.mktemp("pack"))


@pytest.fixture(scope="module")
def project(pack: tuple[Path, dict[str, Any]], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the package installed, and the session compiled."""
    folder = installed(pack[0], tmp_path_factory.mktemp("project") / "empty")
    compiled(folder, "session.ts", "main.ts")
    return folder


@pytest.fixture(scope="module")
def site(project: Path) -> Iterator[str]:
    """The folder as a site of its own, on another origin than the service."""
    routes = [Route("/", lambda _: HTMLResponse(_PAGE)), Mount("/", StaticFiles(directory=project))]
    with serving(Starlette(routes=routes), lifespan="off") as address:
        yield address.url


@pytest.fixture(scope="module")
def up(site: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    settings = {
        "I2M_AUTH": "keys",
        "I2M_ADMIN_KEY": KEY,
        "I2M_CORS_ORIGINS": site,
        "I2M_LOG_LEVEL": "warning",
    }
    up = Up(tmp_path_factory.mktemp("up") / "data", "--port", "0", "--latency", "2s", **settings)
    try:
        yield up.ready()
    finally:
        up.end()
