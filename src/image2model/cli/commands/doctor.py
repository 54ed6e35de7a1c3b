"""What a check found, and what to do about it.

Who calls it: every check returns some, the command shows them.
"""

import asyncio
import secrets
from collections.abc import Sequence
from enum import StrEnum
from typing import Final

import click
import msgspec
from redis.asyncio import Redis
from redis.exceptions import RedisError, ResponseError

from image2model.cli.commands.upgrade import words_of
from image2model.cli.connection import for_scripts, print_json
from image2model.cli.operator import store_url
from image2model.cli.text import print_table, table_of
from image2model.errors import ConfigurationError, DiskFull
from image2model.fal.gateway import FalGateway
from image2model.fal.hosts import FalHosts
from image2model.queue import fleet
from image2model.queue.circuits import EndpointState
from image2model.settings import Settings, load, unknown_names
from image2model.storage.address import open_storage
from image2model.storage.errors import StorageError
from image2model.storage.objects import ObjectStorage
from image2model.store import secret
from image2model.store.condition import StoreCondition, advice, condition_of, describe, probe
from image2model.store.connection import StoreOutage, connect
from image2model.store.connection import command as store_command
from image2model.store.identity import negotiate


class State(StrEnum):
    """How bad it is: only `broken` makes the command fail."""

    OK = "ok"
    WARNING = "warning"
    BROKEN = "broken"


class Finding(msgspec.Struct, frozen=True):
    """One row. `advice` is empty where all is well."""

    part: str
    state: State
    detail: str
    advice: str = ""


def ok(part: str, detail: str) -> Finding:
    """All is well."""
    return Finding(part, State.OK, detail)


def warning(part: str, detail: str, advice: str) -> Finding:
    """It works, and may disappoint."""
    return Finding(part, State.WARNING, detail, advice)


def broken(part: str, detail: str, advice: str) -> Finding:
    """The service cannot work like this."""
    return Finding(part, State.BROKEN, detail, advice)


_FAL: Final = "fal"
_ADVICE: Final = {
    "account": "set FAL_KEY to a key of your account",
    "endpoint": "other models may work; ask FAL for access to this one",
    "unreachable": "look at the network; FAL itself may be down",
}


async def check_fal(settings: Settings) -> list[Finding]:
    """One finding."""
    if settings.fal_key is None and settings.fal_base_url is None:
        return [warning(_FAL, "no FAL_KEY is set", "`up` runs the emulator instead; set it for real models")]
    async with FalGateway(settings.fal_key or "none:none", FalHosts.at(settings.fal_base_url)) as fal:
        health = await fal.probe()
    if health.ok:
        return [ok(_FAL, health.detail)]
    return [broken(_FAL, health.detail, _ADVICE[health.reason or "unreachable"])]


_STORAGE: Final = "storage"
_LITTLE: Final = 2 * 1024**3


async def check_storage(url: str) -> list[Finding]:
    """Puts a small object, reads it back and deletes it."""
    try:
        storage = open_storage(url)
        await _round_trip(storage)
        free = await storage.free_bytes()
    except (ConfigurationError, StorageError, DiskFull, OSError, TimeoutError) as error:
        return [broken(_STORAGE, f"{url}: {error}", "make it writable, or correct I2M_STORAGE_URL")]
    findings = [ok(_STORAGE, f"{url} can be written and read")]
    if free is not None and free < _LITTLE:
        findings.append(warning(_STORAGE, f"only {free / 1024**3:.1f} GiB are left", "make room"))
    return findings


async def _round_trip(storage: ObjectStorage) -> None:
    key, written = f"doctor/{secrets.token_hex(8)}", secrets.token_bytes(64)
    await storage.put(key, written, content_type="application/octet-stream")
    try:
        if await storage.get(key) != written:
            raise StorageError(f"{key} was read back with other bytes")
    finally:
        await storage.delete([key])


_STORE: Final = "redis"
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
        about = await store_command(redis, "INFO", "server")
        condition = await probe(redis)
    except RedisError as error:
        found = condition_of(error) or StoreCondition.REFUSED
        return [broken(_STORE, f"{describe(found)}: {error}", advice(found))]
    if condition in (StoreCondition.LOADING, StoreCondition.AWAY, StoreCondition.REFUSED):
        return [broken(_STORE, describe(condition), advice(condition))]
    findings = [ok(_STORE, _version(about)), *await _durability(redis)]
    if condition is not StoreCondition.WRITABLE:
        findings.append(broken(_STORE, describe(condition), advice(condition)))
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
        found = await store_command(redis, "CONFIG GET", *_WANTED)
    except ResponseError:
        wanted = "make sure that it has " + ", ".join(f"{name} {one[0]}" for name, one in _WANTED.items())
        return [warning(_STORE, "it does not let its settings be read", wanted)]
    return [_setting(name, str(found.get(name, "unknown"))) for name in _WANTED]


def _setting(name: str, value: str) -> Finding:
    wanted, why = _WANTED[name]
    if value == wanted:
        return ok(_STORE, f"{name} {value}")
    return warning(_STORE, f"{name} is {value}", why)


_VERSION: Final = "upgrade"


async def check_version(redis: Redis) -> list[Finding]:
    """One finding."""
    try:
        upgrade = await negotiate(redis)
    except ConfigurationError as error:
        return [broken(_VERSION, error.problems[0], "start the release that wrote it")]
    except StoreOutage as error:
        return [no_answer(_VERSION, error)]
    if upgrade.done and not upgrade.workers:
        return [ok(_VERSION, words_of(upgrade))]
    if upgrade.done:
        return [warning(_VERSION, words_of(upgrade), "end it: it fails on what it reads")]
    advice = "end the processes of the earlier release; `image2model upgrade --force` does not wait for them"
    return [warning(_VERSION, words_of(upgrade), advice)]


_WEBHOOKS: Final = "webhooks"


async def check_webhooks(redis: Redis, settings: Settings) -> list[Finding]:
    """The secret, and a warning where private addresses may be called."""
    try:
        key = await secret.webhook(redis, settings.webhook_secret)
    except RedisError as error:
        return [no_answer(_WEBHOOKS, error)]
    findings = [ok(_WEBHOOKS, f"signed with {key}")]
    if settings.webhook_allow_private:
        advice = "unset I2M_WEBHOOK_ALLOW_PRIVATE where clients are not trusted"
        findings.append(warning(_WEBHOOKS, "http and private addresses may be called", advice))
    return findings


_WORKERS: Final = "workers"


async def check_workers(redis: Redis) -> list[Finding]:
    """One finding for the workers, one for each queue that nobody serves or that is paused, and for each
    endpoint of FAL's that is refused or fails."""
    try:
        state = await fleet.read(redis)
    except RedisError as error:
        return [no_answer(_WORKERS, error)]
    if not state.workers:
        return [broken(_WORKERS, "none is alive", "start `image2model worker`, or `image2model up`")]
    running = sum(worker.heartbeat.running for worker in state.workers)
    return [
        ok(_WORKERS, f"{len(state.workers)} alive, {running} tasks running"),
        *(finding for queue in state.queues for finding in _queue(queue, state)),
        *(_endpoint(one) for one in state.endpoints),
    ]


def _endpoint(state: EndpointState) -> Finding:
    said = f"FAL does not take {state.model} ({state.waiting} wait): {state.message}"
    return warning(_WORKERS, said, "other models go on; where FAL refuses it, ask FAL for access")


def _queue(queue: fleet.QueueState, state: fleet.FleetState) -> list[Finding]:
    findings = []
    if not any(queue.queue in worker.heartbeat.queues for worker in state.workers):
        findings.append(
            broken(
                _WORKERS, f"none serves {queue.queue}", f"start `image2model worker --queues {queue.queue}`"
            )
        )
    if queue.paused:
        reasons = ", ".join(queue.paused)
        findings.append(
            warning(_WORKERS, f"{queue.queue} is paused ({reasons}), {queue.waiting} wait", "mend the cause")
        )
    return findings


async def examine() -> list[Finding]:
    """Everything that was found, good and bad."""
    try:
        settings = load()
    except ConfigurationError as error:
        return [broken("settings", problem, "correct it") for problem in error.problems]
    fal, storage, store = await asyncio.gather(
        check_fal(settings), check_storage(settings.storage_url), _store_and_workers(settings)
    )
    return [*_names(), *store, *storage, *fal]


def _names() -> list[Finding]:
    unknown = unknown_names()
    if not unknown:
        return [ok("settings", "every value can be read")]
    return [warning("settings", f"{name} is no setting", "look for a misspelling") for name in unknown]


async def _store_and_workers(settings: Settings) -> list[Finding]:
    url = await asyncio.to_thread(store_url, settings)
    if url is None:
        return [
            broken(
                "redis",
                f"I2M_REDIS_URL is not set, and no `up` runs on {settings.data_dir}",
                "start `image2model up`, or set I2M_REDIS_URL for a service of several processes",
            )
        ]
    async with connect(url) as redis:
        findings = await check_store(redis)
        if findings[0].state is State.OK:
            findings += await check_version(redis)
            findings += await check_workers(redis)
            findings += await check_webhooks(redis, settings)
    return findings


_STYLES: Final = {State.OK: "green", State.WARNING: "yellow", State.BROKEN: "bold red"}


@click.command(short_help="Check the settings and what they lead to.")
@for_scripts
def command(as_json: bool) -> int:
    """Check the settings and what they lead to: Redis, workers, storage, FAL.

    It reads the same environment as the service. Exit code 1 if something is broken; a warning is not.
    """
    findings = asyncio.run(examine())
    if as_json:
        print_json(findings)
    else:
        _show(findings)
    return 1 if any(one.state is State.BROKEN for one in findings) else 0


def _show(findings: Sequence[Finding]) -> None:
    table = table_of("part", "state", "found", "what to do")
    for one in findings:
        table.add_row(
            one.part, f"[{_STYLES[one.state]}]{one.state}[/]", _plain(one.detail), _plain(one.advice)
        )
    print_table(table)


def _plain(text: str) -> str:
    return text.replace("[", "\\[")
