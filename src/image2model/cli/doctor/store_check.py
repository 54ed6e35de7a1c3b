"""Is Redis there, does it take writes, and will it lose what it was told?

Who calls it: the examination.
"""

from typing import Final

from redis.asyncio import Redis
from redis.exceptions import RedisError, ResponseError

from image2model.cli.doctor.finding import Finding, broken, ok, warning
from image2model.store.condition import StoreCondition, advice, condition_of, describe, probe
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
    """Reachability and version, whether it takes writes, then the settings that decide about losses."""
    try:
        about = await command(redis, "INFO", "server")
        condition = await probe(redis)
    except RedisError as error:
        found = condition_of(error) or StoreCondition.REFUSED
        return [broken(_PART, f"{describe(found)}: {error}", advice(found))]
    if condition in (StoreCondition.LOADING, StoreCondition.AWAY, StoreCondition.REFUSED):
        return [broken(_PART, describe(condition), advice(condition))]
    findings = [ok(_PART, _version(about)), *await _durability(redis)]
    if condition is not StoreCondition.WRITABLE:
        findings.append(broken(_PART, describe(condition), advice(condition)))
    return findings


def no_answer(part: str, error: Exception) -> Finding:
    """What a later check says that did not get through to the store."""
    found = condition_of(error)
    return broken(part, describe(found) if found else f"no answer: {error}", "see the rows on redis")


def _version(about: dict[str, object]) -> str:
    valkey = about.get("valkey_version")
    return f"Valkey {valkey}" if valkey else f"Redis {about.get('redis_version', 'of unknown version')}"


async def _durability(redis: Redis) -> list[Finding]:
    try:
        found = await command(redis, "CONFIG GET", *_WANTED)
    except ResponseError:
        wanted = "make sure that it has " + ", ".join(f"{name} {one[0]}" for name, one in _WANTED.items())
        return [warning(_PART, "it does not let its settings be read", wanted)]
    return [_setting(name, str(found.get(name, "unknown"))) for name in _WANTED]


def _setting(name: str, value: str) -> Finding:
    wanted, why = _WANTED[name]
    if value == wanted:
        return ok(_PART, f"{name} {value}")
    return warning(_PART, f"{name} is {value}", why)
