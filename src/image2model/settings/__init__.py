"""The settings of a process: read once from the environment, validated as a whole, then passed down.

Nothing else reads the environment. A wrong value stops the start, and every problem is reported at once.
"""

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from image2model.errors import ConfigurationError
from image2model.settings.parse import is_loopback
from image2model.settings.table import SETTINGS, Setting

_LEAST_RETENTION_S: Final = 86_400
_LEAST_WORKER_MEMORY: Final = 256 << 20

__all__ = ["SETTINGS", "Setting", "Settings", "load", "unknown_names"]


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Every setting by its name without `I2M_`. Sizes in bytes, durations in seconds."""

    redis_url: str | None
    storage_url: str
    results: str
    fal_key: str | None
    fal_base_url: str | None
    models: tuple[str, ...]
    fal_privacy: str
    fal_retention: float
    fal_admin_key: str | None
    public_url: str | None
    host: str
    port: int
    data_dir: Path
    auth: str
    allow_anonymous: bool
    admin_key: str | None
    max_concurrent: int
    fal_concurrency: tuple[int, dict[str, int]]
    worker_concurrency: int
    workers: int
    worker_max_images: int | None
    worker_max_memory: int | None
    start_timeout: float
    task_timeout: float
    endpoint_patience: float
    lease_seconds: float
    unconfirmed_grace: float
    shutdown_grace: float
    max_attempts: int
    on_unconfirmed: str
    dedupe: str
    job_ttl: float
    max_files: int
    max_file_bytes: int
    max_body: int
    max_pixels: int
    upload_memory: int
    rate_limit: tuple[int, int]
    address_rate_limit: tuple[int, int]
    max_queued: int
    address_max_queued: int
    worker_metrics_port: int | None
    sse_send_timeout: float
    webhook_secret: str | None
    webhook_allow_private: bool
    fetch_allow_private: bool
    url: str
    api_key: str | None
    metrics_token: str | None
    cors_origins: tuple[str, ...]
    allowed_hosts: tuple[str, ...]
    trusted_proxies: tuple[str, ...]
    log_format: str
    log_level: str
    log_stream: str
    log_dir: Path | None
    log_file_size: int
    log_file_count: int
    otel_endpoint: str | None

    @property
    def mirrors(self) -> bool:
        """Whether results are copied into our own storage."""
        return self.results == "mirror"

    @property
    def deletes_at_fal(self) -> bool:
        """Whether requests are deleted at FAL once their results are stored."""
        return self.fal_privacy == "private"

    @property
    def on_loopback(self) -> bool:
        """Whether the API listens where only this machine can reach it."""
        return is_loopback(self.host)


def load(environment: Mapping[str, str] | None = None, **overrides: str) -> Settings:
    """Read `environment` (default: the process's); `overrides` are values of fields from the command line.

    Raises ConfigurationError with every problem at once.
    """
    env = os.environ if environment is None else environment
    values: dict[str, Any] = {}
    problems: list[str] = []
    for setting in SETTINGS:
        given = overrides.get(setting.field) or env.get(setting.name, "").strip() or setting.default
        try:
            values[setting.field] = None if given is None else setting.read(given)
        except ValueError as error:
            problems.append(f"{setting.name}: {error}")
    if not problems:
        problems = _contradictions(values)
    if problems:
        raise ConfigurationError(problems)
    return Settings(**_derived(values))


def unknown_names(environment: Mapping[str, str] | None = None) -> list[str]:
    """Names in the environment that begin like settings but are not settings, probably misspelt."""
    env = os.environ if environment is None else environment
    known = {setting.name for setting in SETTINGS}
    return sorted(name for name in env if name.startswith("I2M_") and name not in known)


def _contradictions(values: Mapping[str, Any]) -> list[str]:
    problems = []
    if values["auth"] == "none" and not is_loopback(values["host"]) and not values["allow_anonymous"]:
        problems.append(
            f"I2M_AUTH: with none, anybody who reaches {values['host']} can spend your money; "
            "use keys, or set I2M_ALLOW_ANONYMOUS=1 if something else protects the service"
        )
    if values["task_timeout"] < 1:
        problems.append("I2M_TASK_TIMEOUT: must be at least 1 s")
    if (values["worker_max_memory"] or _LEAST_WORKER_MEMORY) < _LEAST_WORKER_MEMORY:
        problems.append(
            "I2M_WORKER_MAX_MEMORY: must be at least 256MiB, because a new worker takes half of it"
        )
    if values["log_stream"] == "none" and values["log_dir"] is None:
        problems.append("I2M_LOG_STREAM: with none, I2M_LOG_DIR must be set, else there is no log at all")
    if values["lease_seconds"] < 1:
        problems.append("I2M_LEASE_SECONDS: must be at least 1 s")
    return problems + _privacy_problems(values)


def _privacy_problems(values: Mapping[str, Any]) -> list[str]:
    privacy = values["fal_privacy"]
    if privacy == "default":
        return []
    problems = []
    if values["results"] == "redirect":
        problems.append(
            f"I2M_RESULTS: redirect hands out FAL's own addresses, which I2M_FAL_PRIVACY={privacy} lets "
            "expire; use mirror, or I2M_FAL_PRIVACY=default"
        )
    if values["fal_retention"] < _LEAST_RETENTION_S:
        problems.append(
            "I2M_FAL_RETENTION: must be at least 24h, because a picture must outlive the queue and retries"
        )
    if privacy == "private" and not values["fal_admin_key"]:
        problems.append(
            "I2M_FAL_ADMIN_KEY: must be set for I2M_FAL_PRIVACY=private, because FAL deletes requests with "
            "an admin key only; use I2M_FAL_PRIVACY=expire without one"
        )
    return problems


def _derived(values: dict[str, Any]) -> dict[str, Any]:
    data_dir = values["data_dir"] or _user_data_dir()
    log_format = values["log_format"] or ("console" if sys.stderr.isatty() else "json")
    storage_url = values["storage_url"] or (data_dir / "files").as_uri()
    return {**values, "data_dir": data_dir, "log_format": log_format, "storage_url": storage_url}


def _user_data_dir() -> Path:
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "image2model"
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "image2model"
