"""Is Redis there, and will it lose what it was told?

Who calls it: the examination.
"""

from typing import Final

from redis.asyncio import Redis
from redis.exceptions import RedisError, ResponseError

from image2model.cli.doctor.finding import Finding, broken, ok, warning
from image2model.store.connection import command

_PART: Final = "redis"
_WANTED: Final = {
    "appendonly": ("yes", "without an append-only file a restart loses every job; set `appendonly yes`"),
    "appendfsync": (
        "always",
        "a crash can lose what was answered with 202, and pay twice; set `appendfsync always`",
    ),
    "maxmemory-policy": (
        "noeviction",
        "a full server would drop jobs without a word; set `maxmemory-policy noeviction`",
    ),
}


async def check_store(redis: Redis) -> list[Finding]:
    """Reachability and version, then the settings that decide about losses."""
    try:
        about = await command(redis, "INFO", "server")
    except (RedisError, OSError) as error:
        return [broken(_PART, f"no answer: {error}", "start it, or correct I2M_REDIS_URL")]
    return [ok(_PART, _version(about)), *await _durability(redis)]


def _version(about: dict[str, object]) -> str:
    valkey = about.get("valkey_version")
    return f"Valkey {valkey}" if valkey else f"Redis {about.get('redis_version', 'of unknown version')}"


async def _durability(redis: Redis) -> list[Finding]:
    try:
        found = await command(redis, "CONFIG GET", *_WANTED)
    except ResponseError:
        advice = "make sure that it has " + ", ".join(f"{name} {one[0]}" for name, one in _WANTED.items())
        return [warning(_PART, "it does not let its settings be read", advice)]
    return [_setting(name, str(found.get(name, "unknown"))) for name in _WANTED]


def _setting(name: str, value: str) -> Finding:
    wanted, advice = _WANTED[name]
    if value == wanted:
        return ok(_PART, f"{name} {value}")
    return warning(_PART, f"{name} is {value}", advice)
