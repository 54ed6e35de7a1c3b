"""The one table of settings: name, reader, default, meaning. The settings page is made from it.

Who calls it: `settings.load`. A row's field is its name without `I2M_`, in lower case.
"""

from collections.abc import Callable
from typing import Any, Final

import msgspec

from image2model.settings import parse


class Setting(msgspec.Struct, frozen=True):
    """One row. `default` is text, read like a given value; None: not set."""

    name: str
    read: Callable[[str], Any]
    default: str | None
    meaning: str

    @property
    def field(self) -> str:
        """The attribute of `Settings` that holds the value."""
        return self.name.removeprefix("I2M_").lower()


_count = parse.whole(1)

SETTINGS: Final[tuple[Setting, ...]] = (
    Setting(
        "I2M_REDIS_URL",
        parse.url("redis", "rediss", "unix", "redis+sentinel"),
        None,
        "Redis or Valkey: `redis://`, `rediss://`, `unix://`, `redis+sentinel://h1:26379,h2:26379/mymaster`. "
        "`up` brings its own.",
    ),
    Setting(
        "I2M_STORAGE_URL",
        parse.url("file", "s3", "memory"),
        None,
        "`file:///folder` (created if missing), `s3://bucket/prefix`, or `memory://` inside one process "
        "(tests). Default: `files` in the data folder.",
    ),
    Setting(
        "I2M_RESULTS",
        parse.choice("mirror", "redirect"),
        "mirror",
        "`mirror`: our own copy, checked, redirected to by a signed URL. `redirect`: no copy; downloads "
        "redirect to FAL's own URL, which expires.",
    ),
    Setting("FAL_KEY", parse.text, None, "FAL's key. Without it `up` starts the emulator."),
    Setting(
        "I2M_FAL_BASE_URL",
        parse.url("http", "https"),
        None,
        "One base that serves all FAL hosts (queue, rest, cdn, api), such as the emulator's.",
    ),
    Setting(
        "I2M_PUBLIC_URL",
        parse.url("http", "https"),
        None,
        "Where the internet reaches this service; turns FAL's webhooks on.",
    ),
    Setting("I2M_HOST", parse.text, "127.0.0.1", "Address that the API listens on."),
    Setting("I2M_PORT", parse.whole(0, 65535), "8000", "Port that the API listens on."),
    Setting("I2M_DATA_DIR", parse.path, None, "Data of `up`. Default: the user's data folder."),
    Setting(
        "I2M_AUTH",
        parse.choice("keys", "none"),
        "keys",
        "`keys`, or `none`: every caller is one owner with role `admin`. `up` on loopback: `none`.",
    ),
    Setting(
        "I2M_ALLOW_ANONYMOUS", parse.flag, "0", "Allows `I2M_AUTH=none` where `I2M_HOST` is not loopback."
    ),
    Setting("I2M_ADMIN_KEY", parse.text, None, "The first admin key."),
    Setting("I2M_MAX_CONCURRENT", _count, "100", "FAL requests in flight over the whole fleet."),
    Setting(
        "I2M_WORKER_CONCURRENCY",
        _count,
        "100",
        "Requests that one worker process starts; those that it re-attaches come on top.",
    ),
    Setting(
        "I2M_START_TIMEOUT",
        parse.duration,
        "300",
        "Seconds that one image tries to get accepted by FAL's queue, pauses not counted.",
    ),
    Setting(
        "I2M_TASK_TIMEOUT",
        parse.duration,
        "1800",
        "Seconds that a generation may run, counted from IN_PROGRESS; then it is cancelled at FAL.",
    ),
    Setting(
        "I2M_ENDPOINT_PATIENCE",
        parse.duration,
        "1h",
        "How long an image waits for an endpoint that refuses or fails before it fails itself.",
    ),
    Setting("I2M_LEASE_SECONDS", parse.duration, "15", "A worker's lease on an image, in seconds."),
    Setting(
        "I2M_UNCONFIRMED_GRACE",
        parse.duration,
        "120",
        "Seconds to look for a submit whose reply was lost before the image fails.",
    ),
    Setting(
        "I2M_SHUTDOWN_GRACE", parse.duration, "20", "Seconds that a process may take to let go after SIGTERM."
    ),
    Setting("I2M_MAX_ATTEMPTS", _count, "3", "Paid submissions of one image after definite failures."),
    Setting(
        "I2M_ON_UNCONFIRMED",
        parse.choice("fail", "resubmit"),
        "fail",
        "What an unconfirmed submit becomes: a failure that only a retry sends again, or a new submit.",
    ),
    Setting(
        "I2M_DEDUPE",
        parse.choice("owner", "global", "off"),
        "owner",
        "Reuse of a finished result: among one key's jobs, among all, or never.",
    ),
    Setting("I2M_JOB_TTL", parse.duration, "7d", "How long a finished job and its files are kept."),
    Setting("I2M_MAX_FILES", parse.whole(1, 1000), "25", "Pictures in one batch."),
    Setting("I2M_MAX_FILE_BYTES", parse.size, "10MiB", "Bytes of one picture."),
    Setting("I2M_MAX_PIXELS", _count, "50000000", "Pixels of one picture."),
    Setting("I2M_UPLOAD_MEMORY", parse.size, "256MiB", "Bytes of uploads held at once, per process."),
    Setting("I2M_RATE_LIMIT", parse.rate, "60/min", "Uploads, quotes and retries per key."),
    Setting(
        "I2M_ADDRESS_RATE_LIMIT",
        parse.rate,
        "1200/min",
        "Uploads, quotes and retries per address; a key with a higher rate of its own is not held to it.",
    ),
    Setting("I2M_MAX_QUEUED", _count, "2500", "Unfinished images per key."),
    Setting(
        "I2M_ADDRESS_MAX_QUEUED",
        _count,
        "10000",
        "Unfinished images per address, over its keys; a key that may have more is not held to it.",
    ),
    Setting("I2M_WORKER_METRICS_PORT", parse.whole(1, 65535), None, "Port of a worker's own `/metrics`."),
    Setting(
        "I2M_SSE_SEND_TIMEOUT",
        parse.duration,
        "10",
        "Seconds after which a client that does not read its event stream is cut off.",
    ),
    Setting(
        "I2M_WEBHOOK_SECRET",
        parse.webhook_secret,
        None,
        "`whsec_…`, signs outgoing webhooks. Default: made once and shown by `doctor`.",
    ),
    Setting(
        "I2M_WEBHOOK_ALLOW_PRIVATE",
        parse.flag,
        "0",
        "Allows outgoing webhooks to, and result files from, http and private addresses (development only).",
    ),
    Setting(
        "I2M_URL",
        parse.url("http", "https"),
        "http://127.0.0.1:8000",
        "The service's root, for client commands.",
    ),
    Setting("I2M_API_KEY", parse.text, None, "The API key, for client commands."),
    Setting(
        "I2M_METRICS_TOKEN",
        parse.text,
        None,
        "Bearer token that `/metrics` asks for. With keys, only then does it tell what each key has spent.",
    ),
    Setting("I2M_CORS_ORIGINS", parse.names, "", "Origins that may call the API from a browser."),
    Setting("I2M_ALLOWED_HOSTS", parse.names, "", "Host names that this service answers to."),
    Setting("I2M_TRUSTED_PROXIES", parse.networks, "", "Proxies whose X-Forwarded-* headers are believed."),
    Setting("I2M_LOG_FORMAT", parse.choice("json", "console"), None, "`json`; `console` on a terminal."),
    Setting(
        "I2M_LOG_LEVEL", parse.choice("debug", "info", "warning", "error"), "info", "Least level of the log."
    ),
    Setting(
        "I2M_OTEL_ENDPOINT",
        parse.otlp_endpoint,
        None,
        "Collector that traces go to by OTLP over HTTP, such as `http://collector:4318` (`/v1/traces` is "
        "added). Not set: no traces.",
    ),
)
