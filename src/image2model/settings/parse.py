"""Parsers of settings: each takes the text of one setting and returns its value, or raises ValueError.

The text of the error continues "I2M_X: ".
"""

import base64
import importlib.util
import ipaddress
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from image2model.money import to_micro

_OTLP_EXPORTER: Final = "opentelemetry.exporter.otlp.proto.http"
_UNITS: Final = {"": 1, "k": 1024, "kib": 1024, "m": 1024**2, "mib": 1024**2, "g": 1024**3, "gib": 1024**3}
_SECONDS: Final = {"ms": 0.001, "": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}
_MODEL_PATTERN: Final = re.compile(r"!?[A-Za-z0-9_./*?\[\]-]{1,200}", re.ASCII)
_MOST_BY_ITSELF: Final = 8
"""Workers of `auto`: one finishes some 80 small images a second, more than FAL makes for any account."""
_RATE_PERIODS: Final = {"s": 1, "sec": 1, "min": 60, "m": 60, "h": 3600, "hour": 3600, "day": 86400}


def text(value: str) -> str:
    """Accept any text."""
    return value


def whole(minimum: int, maximum: int = 10**12) -> Callable[[str], int]:
    """A whole number within bounds."""

    def read(value: str) -> int:
        if not re.fullmatch(r"[+-]?\d+", value):
            raise ValueError(f"must be a whole number, not {value!r}")
        number = int(value)
        if not minimum <= number <= maximum:
            raise ValueError(f"must be from {minimum} to {maximum}, not {number}")
        return number

    return read


def workers(value: str) -> int:
    """`auto`, `4`: worker processes of one machine. Half of the cores are left to the API and the store."""
    if value.strip().lower() == "auto":
        return max(1, min(_MOST_BY_ITSELF, (os.cpu_count() or 1) // 2))
    return whole(1, 64)(value)


def concurrency(value: str) -> tuple[int, dict[str, int]]:
    """`auto`, `40`, `auto,fal-ai/trellis=1`: what FAL runs at once of the account (0: learned), and of
    endpoints."""
    account, *endpoints = value.split(",")
    number = whole(1, 10_000)
    limits: dict[str, int] = {}
    for endpoint in endpoints:
        name, equals, limit = endpoint.strip().partition("=")
        if not name or not equals:
            raise ValueError(f"must name endpoints as fal-ai/trellis=1, not {endpoint!r}")
        limits[name] = number(limit)
    return 0 if account.strip() == "auto" else number(account.strip()), limits


def size(value: str) -> int:
    """Bytes: `10485760`, `512k`, `256 MiB`."""
    match = re.fullmatch(r"(\d+)\s*([a-z]*)", value.strip().lower())
    if not match or match[2] not in _UNITS or int(match[1]) == 0:
        raise ValueError(f"must be a size such as 10485760 or 256MiB, not {value!r}")
    return int(match[1]) * _UNITS[match[2]]


def size_to(maximum: str) -> Callable[[str], int]:
    """The same, at most so many bytes."""
    most = size(maximum)

    def read(value: str) -> int:
        number = size(value)
        if number > most:
            raise ValueError(f"must be at most {maximum}, not {value!r}")
        return number

    return read


def duration(value: str) -> float:
    """Seconds: `15`, `0.5s`, `30m`, `7d`."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d|)", value.strip().lower())
    if not match or float(match[1]) <= 0:
        raise ValueError(f"must be a duration such as 15, 30m or 7d, not {value!r}")
    return float(match[1]) * _SECONDS[match[2]]


def flag(value: str) -> bool:
    """`1`, `true`, `yes`, `on` and their opposites."""
    word = value.strip().lower()
    if word in {"1", "true", "yes", "on"}:
        return True
    if word in {"0", "false", "no", "off"}:
        return False
    raise ValueError(f"must be 1 or 0, not {value!r}")


def choice(*words: str) -> Callable[[str], str]:
    """One of the given words."""

    def read(value: str) -> str:
        if value not in words:
            raise ValueError(f"must be one of {', '.join(words)}, not {value!r}")
        return value

    return read


def rate(value: str) -> tuple[int, int]:
    """`60/min` as (60 requests, 60 seconds)."""
    match = re.fullmatch(r"(\d{1,9})\s*/\s*([a-z]+)", value.strip().lower())
    if not match or match[2] not in _RATE_PERIODS or int(match[1]) == 0:
        raise ValueError(f"must be a rate such as 60/min, not {value!r}")
    return int(match[1]), _RATE_PERIODS[match[2]]


def budget(value: str) -> tuple[int, str]:
    """`25.00/month` as (25,000,000 micro-dollars, `month`); also `/day` and `/total`."""
    match = re.fullmatch(r"\$?(\d{1,9}(?:\.\d{1,6})?)\s*/\s*(day|month|total)", value.strip().lower())
    if not match:
        raise ValueError(f"must be a budget such as 25.00/month, 5/day or 100/total, not {value!r}")
    return to_micro(match[1]), match[2]


def url(*schemes: str) -> Callable[[str], str]:
    """A URL with one of the schemes, without a trailing slash."""

    def read(value: str) -> str:
        if urlsplit(value).scheme not in schemes:
            raise ValueError(f"must be a URL that begins with {' or '.join(s + '://' for s in schemes)}")
        return value.rstrip("/")

    return read


def otlp_endpoint(value: str) -> str:
    """The URL for traces. Raises ValueError if the optional packages that send them are missing."""
    read = url("http", "https")(value)
    if "?" in read or "#" in read:
        raise ValueError("must have no query; put credentials into OTEL_EXPORTER_OTLP_HEADERS")
    if not _installed(_OTLP_EXPORTER):
        raise ValueError(
            "needs OpenTelemetry, which is not installed; install it with "
            "`python -m pip install opentelemetry-exporter-otlp-proto-http`, or unset this setting"
        )
    return read


def _installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ImportError:  # a parent package is missing
        return False


def path(value: str) -> Path:
    """A folder's path; `~` is the home folder."""
    return Path(value).expanduser().absolute()


def names(value: str) -> tuple[str, ...]:
    """Words separated by commas."""
    return tuple(word.strip() for word in value.split(",") if word.strip())


def model_patterns(value: str) -> tuple[str, ...]:
    """Patterns of endpoint ids, separated by commas, such as `fal-ai/*,!fal-ai/sam-3/*`; see
    `catalogue.offer`.
    """
    words = names(value)
    for word in words:
        if not _MODEL_PATTERN.fullmatch(word):
            raise ValueError(f"must be patterns such as fal-ai/* or !fal-ai/sam-3/*, not {word[:64]!r}")
    return words


def networks(value: str) -> tuple[str, ...]:
    """Addresses or networks (`10.0.0.0/8`), separated by commas."""
    words = names(value)
    for word in words:
        ipaddress.ip_network(word, strict=False)
    return words


def webhook_secret(value: str) -> str:
    """A Standard Webhooks secret: `whsec_` and base64."""
    if not re.fullmatch(r"whsec_[A-Za-z0-9+/]{32,}={0,2}", value):
        raise ValueError("must be whsec_ followed by at least 24 bytes in base64")
    try:
        base64.b64decode(value.removeprefix("whsec_") + "==")
    except ValueError:
        raise ValueError("must be whsec_ followed by valid base64; copy the whole secret") from None
    return value


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach the host name or address."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
