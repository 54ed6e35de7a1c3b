"""The table of settings: name, parser, default and meaning. The settings page is generated from it.

A setting's field in `Settings` is its name without `I2M_`, in lower case.
"""

from collections.abc import Callable
from typing import Any, Final

import msgspec

from image2model.settings import parse


class Setting(msgspec.Struct, frozen=True):
    """One setting. `default` is text and parsed like a given value; None: not set. `meaning` is for users."""

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
        parse.url("redis", "rediss", "unix", "redis+sentinel", "redis+cluster", "rediss+cluster"),
        None,
        "The Redis or Valkey server: `redis://`, `rediss://`, `unix://`, "
        "`redis+sentinel://h1:26379,h2:26379/mymaster`, or a cluster by some of its nodes, "
        "`redis+cluster://h1:6379,h2:6379` (`rediss+cluster://` with TLS). `up` starts its own.",
    ),
    Setting(
        "I2M_STORAGE_URL",
        parse.url("file", "s3", "az", "gs", "memory"),
        None,
        "Where to keep files: `file:///folder` (created if missing), `s3://bucket/prefix`, "
        "`az://container/prefix`, `gs://bucket/prefix`, or `memory://` inside one process (tests). "
        "The default is `files` in the data folder.",
    ),
    Setting(
        "I2M_RESULTS",
        parse.choice("mirror", "redirect"),
        "mirror",
        "`mirror` checks each result and keeps a copy; downloads redirect to a signed URL. `redirect` keeps "
        "no copy; downloads redirect to FAL's own URL, which expires.",
    ),
    Setting("FAL_KEY", parse.text, None, "Your key for FAL. Without it, `up` starts the emulator."),
    Setting(
        "I2M_FAL_BASE_URL",
        parse.url("http", "https"),
        None,
        "One base URL for all FAL hosts (queue, rest, cdn, api), such as the emulator's.",
    ),
    Setting(
        "I2M_MODELS",
        parse.model_patterns,
        "",
        "The models on offer, as patterns separated by commas: `fal-ai/*` allows, `!fal-ai/sam-3/*` hides. "
        "Without a pattern that allows, all models with a known price are on offer.",
    ),
    Setting(
        "I2M_FAL_PRIVACY",
        parse.choice("default", "expire", "private"),
        "default",
        "What FAL keeps. `default`: what your account says; anyone who has a file's address can open it. "
        "`expire`: files expire after `I2M_FAL_RETENTION`. `private`: results can also be read by signed "
        "addresses only, and are deleted at FAL once they are stored here; needs `I2M_FAL_ADMIN_KEY`. Files "
        "on partners' hosts stay public.",
    ),
    Setting(
        "I2M_FAL_RETENTION",
        parse.duration,
        "7d",
        "How long FAL keeps files, unless `I2M_FAL_PRIVACY` is `default`. At least 24h, because a picture "
        "must outlive the queue and retries.",
    ),
    Setting(
        "I2M_FAL_ADMIN_KEY",
        parse.text,
        None,
        "An admin key of your FAL account. With it, the service reads the account's balance, and under "
        "`I2M_FAL_PRIVACY=private` it deletes what FAL keeps of a request.",
    ),
    Setting(
        "I2M_PUBLIC_URL",
        parse.url("http", "https"),
        None,
        "The URL of this service on the internet. Setting it turns FAL's webhooks on.",
    ),
    Setting("I2M_HOST", parse.text, "127.0.0.1", "The address that the API listens on."),
    Setting("I2M_PORT", parse.whole(0, 65535), "8000", "The port that the API listens on."),
    Setting(
        "I2M_DATA_DIR",
        parse.path,
        None,
        "The folder for the data of `up`. The default is the user's data folder.",
    ),
    Setting(
        "I2M_AUTH",
        parse.choice("keys", "none"),
        "keys",
        "`keys` requires an API key. With `none`, every caller is one owner with the role `admin`; this is "
        "the default of `up` on loopback.",
    ),
    Setting(
        "I2M_ALLOW_ANONYMOUS", parse.flag, "0", "Allows `I2M_AUTH=none` when `I2M_HOST` is not loopback."
    ),
    Setting("I2M_ADMIN_KEY", parse.text, None, "The text of the first admin key."),
    Setting(
        "I2M_MAX_CONCURRENT", _count, "100", "The most FAL requests in flight at once, over the whole fleet."
    ),
    Setting(
        "I2M_FAL_CONCURRENCY",
        parse.concurrency,
        "auto",
        "How many requests FAL runs at once for your account. `auto` learns it while it works. A number sets "
        "it, and `auto,fal-ai/trellis=1` or `40,fal-ai/trellis=1` sets the limit of an endpoint. FAL gets so "
        "many requests and a tenth more; all others wait here.",
    ),
    Setting(
        "I2M_WORKER_CONCURRENCY",
        _count,
        "100",
        "The most requests that one worker process starts. Requests that it takes over from another worker "
        "come on top.",
    ),
    Setting(
        "I2M_WORKERS",
        parse.workers,
        "1",
        "How many worker processes `up` runs; `auto`: one for two cores, at most 8. In containers: how many "
        "containers of workers.",
    ),
    Setting(
        "I2M_WORKER_MAX_IMAGES",
        _count,
        None,
        "After how many images a worker process is replaced by a new one, for libraries that leak memory. "
        "Whatever supervises it has to start the new one; `up` and containers do.",
    ),
    Setting(
        "I2M_WORKER_MAX_MEMORY",
        parse.size,
        None,
        "From how much memory a worker process is replaced by a new one, at the earliest a minute after its "
        "start. At least 256 MiB.",
    ),
    Setting(
        "I2M_START_TIMEOUT",
        parse.duration,
        "300",
        "How long an image tries to get into FAL's queue, in seconds, without pauses. Then it fails.",
    ),
    Setting(
        "I2M_TASK_TIMEOUT",
        parse.duration,
        "1800",
        "How long a generation may run, in seconds from FAL's IN_PROGRESS. Then it is cancelled at FAL.",
    ),
    Setting(
        "I2M_ENDPOINT_PATIENCE",
        parse.duration,
        "1h",
        "How long an image waits for an endpoint that refuses or fails. Then the image fails.",
    ),
    Setting(
        "I2M_LEASE_SECONDS",
        parse.duration,
        "15",
        "How long a worker's lease on an image lasts without a renewal, in seconds. After that another "
        "worker takes the image over.",
    ),
    Setting(
        "I2M_UNCONFIRMED_GRACE",
        parse.duration,
        "120",
        "How long to search for a submission whose reply was lost, in seconds. Then the image fails.",
    ),
    Setting(
        "I2M_SHUTDOWN_GRACE",
        parse.duration,
        "20",
        "How long a process may take to stop after SIGTERM, in seconds.",
    ),
    Setting(
        "I2M_MAX_ATTEMPTS", _count, "3", "The most paid submissions of one image, if FAL definitely fails."
    ),
    Setting(
        "I2M_ON_UNCONFIRMED",
        parse.choice("fail", "resubmit"),
        "fail",
        "What happens to an unconfirmed submission: `fail` lets the image fail until somebody retries it; "
        "`resubmit` submits it again, which may be paid twice.",
    ),
    Setting(
        "I2M_DEDUPE",
        parse.choice("owner", "global", "off"),
        "owner",
        "Reuses finished results among the jobs of one owner (`owner`), among all jobs (`global`), or never "
        "(`off`).",
    ),
    Setting("I2M_JOB_TTL", parse.duration, "7d", "How long to keep a finished job and its files."),
    Setting(
        "I2M_MAX_FILES",
        parse.whole(1, 1000),
        "25",
        "The most objects in one batch: pictures of their own, and objects of up to eight views.",
    ),
    Setting(
        "I2M_MAX_FILE_BYTES", parse.size_to("60MiB"), "30MiB", "The most bytes of one picture, up to 60 MiB."
    ),
    Setting("I2M_MAX_BODY", parse.size, "1GiB", "The most bytes of one batch."),
    Setting(
        "I2M_MAX_PIXELS",
        parse.whole(1, 210_000_000),
        "110000000",
        "The most pixels of one picture, up to 210 million. What a model does not take is made smaller.",
    ),
    Setting(
        "I2M_UPLOAD_MEMORY",
        parse.size,
        "256MiB",
        "The most bytes of uploads that a process holds in memory at once.",
    ),
    Setting(
        "I2M_RATE_LIMIT",
        parse.rate,
        "60/min",
        "The rate of uploads, second steps, quotes and retries for each key.",
    ),
    Setting(
        "I2M_ADDRESS_RATE_LIMIT",
        parse.rate,
        "1200/min",
        "The rate of uploads, second steps, quotes and retries for each address. A key with a higher rate "
        "of its own is exempt.",
    ),
    Setting("I2M_MAX_QUEUED", _count, "2500", "The most unfinished images of each key."),
    Setting(
        "I2M_ADDRESS_MAX_QUEUED",
        _count,
        "10000",
        "The most unfinished images of each address, over all keys. A key that may have more is exempt.",
    ),
    Setting(
        "I2M_WORKER_METRICS_PORT",
        parse.whole(1, 65535),
        None,
        "The port of a worker's own `/metrics`. Without it, a worker serves none.",
    ),
    Setting(
        "I2M_SSE_SEND_TIMEOUT",
        parse.duration,
        "10",
        "How long a client may stop reading its event stream, in seconds. Then it is disconnected.",
    ),
    Setting(
        "I2M_WEBHOOK_SECRET",
        parse.webhook_secret,
        None,
        "The secret that signs outgoing webhooks, `whsec_…`. By default the service creates one, and "
        "`doctor` shows it.",
    ),
    Setting(
        "I2M_WEBHOOK_ALLOW_PRIVATE",
        parse.flag,
        "0",
        "Allows http and private addresses for outgoing webhooks and result files. For development only.",
    ),
    Setting(
        "I2M_FETCH_ALLOW_PRIVATE",
        parse.flag,
        "0",
        "Allows private addresses for pictures that clients send as addresses. For development only.",
    ),
    Setting(
        "I2M_URL",
        parse.url("http", "https"),
        "http://127.0.0.1:8000",
        "The root URL of the service, for client commands.",
    ),
    Setting("I2M_API_KEY", parse.text, None, "The API key, for client commands."),
    Setting(
        "I2M_METRICS_TOKEN",
        parse.text,
        None,
        "The Bearer token that `/metrics` requires. With `I2M_AUTH=keys`, `/metrics` shows the spending of "
        "each key only if this is set.",
    ),
    Setting(
        "I2M_CORS_ORIGINS", parse.names, "", "The origins of web pages that may call the API from a browser."
    ),
    Setting("I2M_ALLOWED_HOSTS", parse.names, "", "The host names under which this service may be called."),
    Setting(
        "I2M_TRUSTED_PROXIES",
        parse.networks,
        "",
        "The proxies whose X-Forwarded-* headers the service trusts.",
    ),
    Setting(
        "I2M_LOG_FORMAT",
        parse.choice("json", "console"),
        None,
        "The format of the log. The default is `console` on a terminal, else `json`.",
    ),
    Setting(
        "I2M_LOG_LEVEL", parse.choice("debug", "info", "warning", "error"), "info", "The lowest level to log."
    ),
    Setting(
        "I2M_LOG_STREAM",
        parse.choice("stderr", "stdout", "none"),
        "stderr",
        "Where the log of a process goes: `stderr`, `stdout`, or `none` for files alone.",
    ),
    Setting(
        "I2M_LOG_DIR",
        parse.path,
        None,
        "A folder for log files, in addition: each process writes JSON into one of its own, such as "
        "`worker-2.log`. Without it there are none.",
    ),
    Setting(
        "I2M_LOG_FILE_SIZE",
        parse.size,
        "20MiB",
        "At how many bytes a log file is renamed to `….log.1`, and a new one begun.",
    ),
    Setting(
        "I2M_LOG_FILE_COUNT",
        parse.whole(2, 1000),
        "5",
        "How many log files of each process are kept, with the one that it writes.",
    ),
    Setting(
        "I2M_OTEL_ENDPOINT",
        parse.otlp_endpoint,
        None,
        "The collector that receives traces by OTLP over HTTP, such as `http://collector:4318` (`/v1/traces` "
        "is added). Without it there are no traces.",
    ),
)
