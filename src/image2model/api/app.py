"""Builds the application from the settings. No I/O happens before its lifespan begins."""

from collections.abc import Sequence
from typing import Final

from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.routing import BaseRoute

from image2model.api.application import Application
from image2model.api.lifespan import Process
from image2model.api.middleware import (
    AccessLog,
    HostCheck,
    ProblemAnswers,
    RefusalDrain,
    RequestId,
    RequestSpan,
    SecurityHeaders,
    SiteGuard,
)
from image2model.api.routes import routes
from image2model.errors import ConfigurationError
from image2model.http.upload import UploadLimits
from image2model.settings import Settings
from image2model.telemetry.metrics import HTTP_DURATION, HTTP_REQUESTS

_CORS_ALLOWED: Final = [
    "Authorization",
    "Idempotency-Key",
    "If-None-Match",
    "Last-Event-ID",
    "Prefer",
    "X-Request-ID",
]
_CORS_EXPOSED: Final = [
    "ETag",
    "Location",
    "X-Request-ID",
    "Retry-After",
    "RateLimit",
    "RateLimit-Policy",
    "Idempotent-Replayed",
    "Preference-Applied",
]


def create_app(settings: Settings, page: Sequence[BaseRoute] = ()) -> Application:
    """The application for these settings; `page` are the routes of the web page, added to its own.

    Raises ConfigurationError if there is no store to connect to.
    """
    if settings.redis_url is None:
        raise ConfigurationError(
            ["I2M_REDIS_URL: set it, because the API needs a store; `image2model up` starts its own"]
        )
    limits = UploadLimits(
        max_objects=settings.max_files,
        max_file_bytes=settings.max_file_bytes,
        max_total_bytes=settings.max_body,
    )
    return Application(
        [*routes(), *page],
        layers=_layers(settings, limits),
        lifespan=Process(settings, settings.redis_url, limits).lifespan,
    )


def _layers(settings: Settings, limits: UploadLimits) -> list[Middleware]:
    traced = [Middleware(RequestSpan)] if settings.otel_endpoint else []
    layers = [
        Middleware(RequestId),
        *traced,
        Middleware(AccessLog, requests=HTTP_REQUESTS, duration=HTTP_DURATION),
        Middleware(SecurityHeaders),
        Middleware(RefusalDrain, max_bytes=limits.max_body_bytes),
    ]
    if settings.cors_origins:
        layers.append(  # outside ProblemAnswers, so that permitted pages can read refusals too
            Middleware(
                CORSMiddleware,
                allow_origins=settings.cors_origins,
                allow_methods=["GET", "POST", "DELETE"],
                allow_headers=_CORS_ALLOWED,
                expose_headers=_CORS_EXPOSED,
            )
        )
    layers.append(Middleware(ProblemAnswers))
    if settings.auth == "none":
        layers.append(
            Middleware(SiteGuard, allowed_hosts=settings.allowed_hosts, allowed_origins=settings.cors_origins)
        )
    elif settings.allowed_hosts:
        layers.append(Middleware(HostCheck, allowed_hosts=settings.allowed_hosts))
    return layers
