"""`image2model doctor`: checks the settings, and every part that they lead to.

Each check returns findings, good and bad; none of them changes anything, apart from one small object that the
storage check writes and deletes.
"""

import asyncio
from collections.abc import Sequence
from typing import Final

import click
from redis.asyncio import Redis
from redis.exceptions import RedisError, ResponseError

from image2model.catalogue import balance, bills, stored
from image2model.cli.commands.doctor_findings import Finding, State, broken, ok, warning
from image2model.cli.commands.doctor_privacy import check_deletions, check_privacy
from image2model.cli.commands.doctor_storage import check_storage
from image2model.cli.commands.upgrade import describe_upgrade
from image2model.cli.connection import json_option
from image2model.cli.operator import store_url
from image2model.cli.output import print_json, print_table, table_of
from image2model.errors import ConfigurationError
from image2model.fal.gateway import FalGateway
from image2model.fal.hosts import FalHosts
from image2model.http.documents import moment
from image2model.money import to_usd
from image2model.queue import fleet, window
from image2model.queue.circuits import EndpointState
from image2model.queue.window import FalConcurrency
from image2model.settings import Settings, load, unknown_names
from image2model.store import secret
from image2model.store.condition import StoreCondition, advice, condition_of, describe, probe
from image2model.store.connection import StoreOutage, connect
from image2model.store.connection import command as store_command
from image2model.store.identity import negotiate

_FAL: Final = "fal"
_MODELS: Final = "models"
_ACCOUNT: Final = "fal account"
_FAL_ADVICE: Final = {
    "account": "set FAL_KEY to a key of your account",
    "endpoint": "other models may work; ask FAL for access to this one",
    "unreachable": "check the network; FAL itself may be down",
}
_STORE: Final = "redis"
_REQUIRED_SETTINGS: Final = {
    "appendonly": ("yes", "without an append-only file a restart loses every job; set `appendonly yes`"),
    "appendfsync": (
        "always",
        "a crash can lose accepted jobs, and pay twice; set `appendfsync always`",
    ),
    "maxmemory-policy": (
        "noeviction",
        "a full server would silently drop jobs; set `maxmemory-policy noeviction`",
    ),
}
_VERSION: Final = "upgrade"
_WEBHOOKS: Final = "webhooks"
_PICTURES: Final = "pictures"
_WORKERS: Final = "workers"


@click.command(short_help="Check the settings, Redis, workers, storage and FAL.")
@json_option
def command(as_json: bool) -> int:
    """Check the settings, Redis, workers, storage and FAL.

    It reads the same environment as the service. Exit code 1 if something is broken, not for a warning.
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
            one.part, f"[{_STYLES[one.state]}]{one.state}[/]", _escaped(one.detail), _escaped(one.advice)
        )
    print_table(table)


def _escaped(text: str) -> str:
    return text.replace("[", "\\[")


async def examine() -> list[Finding]:
    """All findings, good and bad."""
    try:
        settings = load()
    except ConfigurationError as error:
        return [broken("settings", problem, "correct it") for problem in error.problems]
    fal, privacy, storage, store = await asyncio.gather(
        check_fal(settings),
        check_privacy(settings),
        check_storage(settings.storage_url),
        _store_and_workers(settings),
    )
    return [*_names(), *store, *storage, *fal, *privacy]


def _names() -> list[Finding]:
    unknown = unknown_names()
    if not unknown:
        return [ok("settings", "every value can be read")]
    return [warning("settings", f"{name} is not a setting", "check the spelling") for name in unknown]


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
            findings += await check_concurrency(redis, settings)
            findings += await check_webhooks(redis, settings)
            findings += await check_catalogue(redis)
            findings += await check_account(redis)
            findings += await check_deletions(redis, settings)
    return findings


_SAYS_NOTHING: Final = (
    StoreCondition.LOADING,
    StoreCondition.RENAMING,
    StoreCondition.AWAY,
    StoreCondition.REFUSED,
)


async def check_store(redis: Redis) -> list[Finding]:
    """Reachability and version, whether it accepts writes, then the settings that prevent losses."""
    try:
        about = await store_command(redis, "INFO", "server")
        condition = await probe(redis)
    except RedisError as error:
        found = condition_of(error) or StoreCondition.REFUSED
        return [broken(_STORE, f"{describe(found)}: {error}", advice(found))]
    if condition in _SAYS_NOTHING:
        return [broken(_STORE, describe(condition), advice(condition))]
    findings = [ok(_STORE, _version(about)), *await _durability(redis)]
    if condition is not StoreCondition.WRITABLE:
        findings.append(broken(_STORE, describe(condition), advice(condition)))
    return findings


def _version(about: dict[str, object]) -> str:
    valkey = about.get("valkey_version")
    return f"Valkey {valkey}" if valkey else f"Redis {about.get('redis_version', 'of unknown version')}"


async def _durability(redis: Redis) -> list[Finding]:
    try:
        found = await store_command(redis, "CONFIG GET", *_REQUIRED_SETTINGS)
    except ResponseError:
        required = "make sure that it has " + ", ".join(
            f"{name} {one[0]}" for name, one in _REQUIRED_SETTINGS.items()
        )
        return [warning(_STORE, "its settings cannot be read", required)]
    return [_setting(name, str(found.get(name, "unknown"))) for name in _REQUIRED_SETTINGS]


def _setting(name: str, value: str) -> Finding:
    required, why = _REQUIRED_SETTINGS[name]
    if value == required:
        return ok(_STORE, f"{name} {value}")
    return warning(_STORE, f"{name} is {value}", why)


async def check_version(redis: Redis) -> list[Finding]:
    """One finding."""
    try:
        upgrade = await negotiate(redis)
    except ConfigurationError as error:
        return [broken(_VERSION, error.problems[0], "start the release that wrote it")]
    except StoreOutage as error:
        return [_no_answer(_VERSION, error)]
    if upgrade.done and not upgrade.workers:
        return [ok(_VERSION, describe_upgrade(upgrade))]
    if upgrade.done:
        return [warning(_VERSION, describe_upgrade(upgrade), "stop it: it fails on data that it cannot read")]
    advice = "stop the processes of the earlier release; `image2model upgrade --force` does not wait for them"
    return [warning(_VERSION, describe_upgrade(upgrade), advice)]


async def check_workers(redis: Redis) -> list[Finding]:
    """One finding for the workers, one for each queue that no worker serves or that is paused, and
    one for each endpoint that FAL refuses or that fails."""
    try:
        state = await fleet.read(redis)
    except RedisError as error:
        return [_no_answer(_WORKERS, error)]
    if not state.workers:
        return [broken(_WORKERS, "none is alive", "start `image2model worker`, or `image2model up`")]
    running = sum(worker.heartbeat.running for worker in state.workers)
    return [
        ok(_WORKERS, f"{len(state.workers)} alive, {running} tasks running"),
        *(finding for queue in state.queues for finding in _queue(queue, state)),
        *(_endpoint(one) for one in state.endpoints),
    ]


def _endpoint(state: EndpointState) -> Finding:
    detail = f"FAL refuses {state.model} ({state.waiting} wait): {state.message}"
    return warning(_WORKERS, detail, "other models continue; if FAL refuses this one, ask FAL for access")


def _queue(queue: fleet.QueueState, state: fleet.FleetState) -> list[Finding]:
    findings = []
    if not any(queue.queue in worker.heartbeat.queues for worker in state.workers):
        findings.append(
            broken(
                _WORKERS,
                f"no worker serves {queue.queue}",
                f"start `image2model worker --queues {queue.queue}`",
            )
        )
    if queue.paused:
        reasons = ", ".join(queue.paused)
        findings.append(
            warning(
                _WORKERS, f"{queue.queue} is paused ({reasons}), {queue.waiting} wait", "remove the cause"
            )
        )
    return findings


async def check_concurrency(redis: Redis, settings: Settings) -> list[Finding]:
    """How many requests FAL runs at once, and what that means for what waits."""
    try:
        found = await window.read(redis, FalConcurrency.of(settings))
    except RedisError as error:
        return [_no_answer(_FAL, error)]
    how = {"learned": "learned", "header": "FAL has said so", "set": "set by I2M_FAL_CONCURRENCY"}[
        found.source
    ]
    detail = f"runs {found.limit} at once ({how}); now {found.running} run and {found.waiting} wait there"
    limits = "".join(f"; at most {most} of {model}" for model, most in sorted(found.endpoints.items()))
    findings = [ok(_FAL, detail + limits)]
    if settings.max_concurrent < found.limit:
        advice = f"raise it to {found.limit} or more"
        findings.append(
            warning(_FAL, f"I2M_MAX_CONCURRENT is {settings.max_concurrent}, FAL runs more", advice)
        )
    return findings


async def check_webhooks(redis: Redis, settings: Settings) -> list[Finding]:
    """The webhook secret, and warnings where private addresses may be called or fetched."""
    try:
        key = await secret.webhook(redis, settings.webhook_secret)
    except RedisError as error:
        return [_no_answer(_WEBHOOKS, error)]
    findings = [ok(_WEBHOOKS, f"signed with {key}")]
    if settings.webhook_allow_private:
        advice = "unset I2M_WEBHOOK_ALLOW_PRIVATE where clients are not trusted"
        findings.append(warning(_WEBHOOKS, "http and private addresses may be called", advice))
    if settings.fetch_allow_private:
        advice = "unset I2M_FETCH_ALLOW_PRIVATE where clients are not trusted"
        findings.append(warning(_PICTURES, "clients may have private addresses fetched", advice))
    return findings


async def check_catalogue(redis: Redis) -> list[Finding]:
    """One finding: how old FAL's list of models is."""
    try:
        head = await stored.head(redis)
    except RedisError as error:
        return [_no_answer(_MODELS, error)]
    if head.error:
        age = f"that of {moment(head.updated_at)} serves" if head.updated_at else "the built-in one serves"
        advice = "check FAL_KEY and the network; the worker tries again by itself"
        return [warning(_MODELS, f"FAL's list cannot be read ({head.error}); {age}", advice)]
    if not head.updated_at:
        return [warning(_MODELS, "FAL's list was not read yet; the built-in one serves", "start a worker")]
    return [ok(_MODELS, f"FAL's list of {moment(head.updated_at)}")]


async def check_account(redis: Redis) -> list[Finding]:
    """The balance where it is read, and a warning for each model that FAL bills otherwise than quoted."""
    try:
        found, drifts = await balance.read(redis), await bills.drifts(redis)
    except RedisError as error:
        return [_no_answer(_ACCOUNT, error)]
    findings = [
        warning(
            _ACCOUNT,
            f"FAL bills {one.ratio:+.0%} for {one.model} against its quotes, over {one.bookings} pictures",
            "compare FAL's page of the model with its price in `image2model models`",
        )
        for one in drifts
        if one.is_large
    ]
    if found is None:
        return findings
    if found.warning:
        return [warning(_ACCOUNT, found.warning, "see https://fal.ai/dashboard/billing"), *findings]
    left = "unknown" if found.micro is None else f"${to_usd(found.micro):.2f}"
    pictures = f", enough for {found.enough_for} more pictures" if found.enough_for is not None else ""
    return [ok(_ACCOUNT, f"balance {left}{pictures}"), *findings]


async def check_fal(settings: Settings) -> list[Finding]:
    """One finding."""
    if settings.fal_key is None and settings.fal_base_url is None:
        return [warning(_FAL, "no FAL_KEY is set", "`up` runs the emulator instead; set it for real models")]
    async with FalGateway(settings.fal_key or "none:none", FalHosts.at(settings.fal_base_url)) as fal:
        health = await fal.probe()
    if health.ok:
        return [ok(_FAL, health.detail)]
    return [broken(_FAL, health.detail, _FAL_ADVICE[health.reason or "unreachable"])]


def _no_answer(part: str, error: Exception) -> Finding:
    """The finding of a later check that did not reach the store."""
    found = condition_of(error)
    return broken(part, describe(found) if found else f"no answer: {error}", "see the rows about redis")


_STYLES: Final = {State.OK: "green", State.WARNING: "yellow", State.BROKEN: "bold red"}
