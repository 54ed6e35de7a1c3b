"""Lua scripts: each is linked with what it names of the constants and the library, and called by its hash.

Each script has one typed function around it, and takes one msgpack argument. The constants come from the
Python tables that the rest of the code reads, so the two cannot drift. The server runs a script's whole text
at each call, so a script must carry only what it names.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping
from importlib import resources
from typing import Any, Final

import msgspec
from redis.asyncio import Redis
from redis.exceptions import NoScriptError

from image2model.domain import (
    IMAGE_ADVANCING,
    IMAGE_AT_FAL,
    IMAGE_FINISHED,
    IMAGE_MOVING,
    IMAGE_UNFINISHED,
    LEGAL_MOVES,
    ImageError,
    ImageStatus,
)
from image2model.store import arq_keys, data_versions, keys, pipelining, records

WORKER_CRASHED: Final = ImageError(
    code="worker_crashed",
    message="Decoding this picture crashed its process five times, while nothing else ran in it. Save the "
    "picture again as PNG or JPEG, and upload the new file.",
    retryable=True,
)
_UNEXPECTED_ERROR: Final = ImageError(
    code="unexpected_error",
    message="A fault of this service ended this picture. The worker's log has the details under this image's "
    "id.",
    retryable=True,
)
LIBRARY: Final = (
    "base",
    "buffer",
    "data_version",
    "accounts",
    "admission",
    "job_lists",
    "endpoints",
    "events",
    "queue",
    "fetches",
    "fal_deletions",
    "window",
    "images",
    "new_jobs",
    "circuits",
)
"""The files of `store/lua` that are no scripts, in the order in which they need each other."""
_MOVED_IMAGE: Final = (
    "job_id",
    "owner",
    "fence",
    "digest",
    "phase",
    "phase_model",
    "waited",
    "cancel_requested",
    "attempt_token",
    "request_id",
    "posting_at",
    "running_at",
    "submitted_at",
    "reuse_of",
    "reuse_main",
    "main_digest",
    "hazard",
    "hazard_deaths",
    "edition",
    "pickups",
    "fetches",
    "unit_micro",
    "later_micro",
    "reserved_micro",
    "booked",
    "budget_micro",
    "budget_period",
)
"""What a move reads of an image besides its row."""
_MOVED_JOB: Final = (
    "version",
    "owner",
    "total",
    "deleted",
    "waiting_for",
    "model",
    "finished_at",
    "cost_micro",
    "store",
    "owner_base",
)
_OWNER_HISTORY: Final = 20_000
"""How many entries of an owner's stream are kept for `/events`."""
_SPEND_TTL_MS: Final = 400 * 86_400_000
"""How long the table of a day's spending is kept."""
_GRACE_TTL_MS: Final = 86_400_000
"""How long an expired job's hashes are kept, so that its files can be erased and clients get 410."""
_HOLD_TTL_MS: Final = 86_400_000
"""How long the price of an attempt that FAL may still bill stays reserved: FAL repeats a webhook for
hours."""


def _lua(value: str | int | bool) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _lua_list(values: tuple[str, ...]) -> str:
    return "{" + ", ".join(map(_lua, values)) + "}"


def _lua_numbers(values: Iterable[int]) -> str:
    return "{" + ", ".join(map(_lua, values)) + "}"


def _lua_table(values: Mapping[str, int]) -> str:
    return "{" + ", ".join(f"[{_lua(name)}]={_lua(value)}" for name, value in values.items()) + "}"


def _lua_set(values: frozenset[ImageStatus]) -> str:
    return "{" + ", ".join(f"[{_lua(value.value)}]=true" for value in sorted(values)) + "}"


def _key_functions() -> str:
    lines = ["local K = {}"]
    for name, kind in keys.KEYS.items():
        parts = kind.template.split("{}")
        arguments = [f"a{i}" for i in range(len(parts) - 1)]
        pieces = ["PREFIX", _lua(parts[0])]
        for argument, part in zip(arguments, parts[1:], strict=True):
            pieces += [argument, _lua(part)]
        lines.append(f"K.{name} = function({', '.join(arguments)}) return {' .. '.join(pieces)} end")
    return "\n".join(lines)


def _arq_prefix(kind: str) -> str:
    return f"IS_PLAIN and {_lua(arq_keys.PLAIN[kind])} or PREFIX .. {_lua(kind)}"


def library() -> str:
    """The constants and functions that scripts are linked with."""
    legal = [f"[{_lua(f'{a}>{b}')}]=true" for a, moves in LEGAL_MOVES.items() for b in sorted(moves)]
    constants: dict[str, str] = {
        # a script's only declared key is what the names of its cell begin with
        "PREFIX": "KEYS[1]",
        "PLAIN": _lua(keys.PLAIN_PREFIX),
        "IS_PLAIN": f"PREFIX == {_lua(keys.PLAIN_PREFIX)}",
        "STATUSES": _lua_list(tuple(status.value for status in ImageStatus)),
        "COUNT_FIELDS": _lua_list(tuple(f"n_{status}" for status in ImageStatus)),
        "IMAGE_FIELDS": _lua_list(records.IMAGE_FIELDS),
        "IMAGE_PLACES": _lua_table({name: i for i, name in enumerate(records.IMAGE_FIELDS, 1)}),
        "CHANGING_FIELDS": _lua_numbers(
            [records.IMAGE_FIELDS.index(name) + 1 for name in records.CHANGING_FIELDS]
        ),
        "JOB_FIELDS": _lua_list(records.JOB_FIELDS),
        "ATTEMPT_FIELDS": _lua_list(records.ATTEMPT_FIELDS),
        "MOVED_IMAGE_FIELDS": _lua_list(tuple(dict.fromkeys((*records.IMAGE_FIELDS, *_MOVED_IMAGE)))),
        "MOVED_JOB_FIELDS": _lua_list((*(f"n_{status}" for status in ImageStatus), *_MOVED_JOB)),
        "PASSING_FIELDS": _lua_list(records.PASSING_FIELDS),
        "LEGAL": "{" + ", ".join(legal) + "}",
        "FINISHED": _lua_set(IMAGE_FINISHED),
        "UNFINISHED": _lua_set(IMAGE_UNFINISHED),
        "MOVING": _lua_set(IMAGE_MOVING),
        "ADVANCING": _lua_set(IMAGE_ADVANCING),
        "AT_FAL": _lua_set(IMAGE_AT_FAL),
        "ARQ_JOB": _arq_prefix(arq_keys.JOB),
        "ARQ_IN_PROGRESS": _arq_prefix(arq_keys.IN_PROGRESS),
        "ARQ_RETRY": _arq_prefix(arq_keys.RETRY),
        "ARQ_QUEUE": _arq_prefix(arq_keys.QUEUE),
        "FOLLOW_AT": _lua(arq_keys.FOLLOW_AT),
        "FOLLOW_NOW": _lua(arq_keys.FOLLOW_NOW),
        "START_NEXT": _lua(arq_keys.START_NEXT),
        "NORMAL_PRIORITY": _lua(arq_keys.NORMAL_PRIORITY),
        "LOW_PRIORITY": _lua(arq_keys.LOW_PRIORITY),
        "DUE_AT": _lua(arq_keys.DUE_AT),
        "AWAITING_REUSE": _lua(arq_keys.AWAITING_REUSE),
        "AWAITING_ENDPOINT": _lua(arq_keys.AWAITING_ENDPOINT),
        "AWAITING_WINDOW": _lua(arq_keys.AWAITING_WINDOW),
        "AWAITING_CONFIRMATION": _lua(arq_keys.AWAITING_CONFIRMATION),
        "AWAITING_FETCH": _lua(arq_keys.AWAITING_FETCH),
        "RUNNING": _lua(arq_keys.RUNNING),
        "GENERATION": _lua(keys.Queue.GENERATION.value),
        "BATCH": _lua(keys.Queue.BATCH.value),
        "MAINTENANCE": _lua(keys.Queue.MAINTENANCE.value),
        "FETCH": _lua(keys.Queue.FETCH.value),
        "CHANNEL": _lua(keys.PLAIN_PREFIX),
        "OLD_NOTIFICATION": _lua(keys.SHARED_CHANNELS.notification("")),
        "OLD_CONTROL": _lua(keys.SHARED_CHANNELS.control),
        "LATEST": _lua(data_versions.LATEST),
        "EVENT_IMAGE_FIELDS": _lua_numbers([layout.image_fields for layout in data_versions.LAYOUTS]),
        "EVENT_JOB_FIELDS": _lua_numbers([layout.job_fields for layout in data_versions.LAYOUTS]),
        "FUNCTION_SINCE": _lua_table(data_versions.functions_since()),
        "METADATA_TOKEN_DIGITS": _lua(keys.METADATA_TOKEN_DIGITS),
        "UNFINISHED_TTL": _lua(keys.UNFINISHED_TTL_MS),
        "FLEET_TTL": _lua(keys.FLEET_TTL_MS),
        "SPEND_TTL": _lua(_SPEND_TTL_MS),
        "GRACE_TTL": _lua(_GRACE_TTL_MS),
        "HOLD_TTL": _lua(_HOLD_TTL_MS),
        "OWNER_HISTORY": _lua(_OWNER_HISTORY),
        "WORKER_CRASHED": _lua(msgspec.json.encode(WORKER_CRASHED).decode()),
        "UNEXPECTED_ERROR": _lua(msgspec.json.encode(_UNEXPECTED_ERROR).decode()),
    }
    lines = [f"local {name} = {value}" for name, value in constants.items()]
    return "\n".join([*lines, _key_functions(), *(_source("store", name) for name in LIBRARY)])


def _source(package: str, name: str) -> str:
    return resources.files(f"image2model.{package}").joinpath(f"lua/{name}.lua").read_text("utf-8")


class Script:
    """One Lua script, named `PACKAGE/NAME`: `image2model/PACKAGE/lua/NAME.lua`.

    Each call is one round trip; the text is sent only when the server lacks it. `declared` is the key that it
    declares, and whose slot all of its keys lie in.
    """

    def __init__(self, name: str, declared: str = keys.FIRST_CELL) -> None:
        self._name = name
        self._declared = declared
        self._text: str | None = None
        self._sha = ""

    def load(self) -> str:
        """The whole text, linked at the first call and kept."""
        if self._text is None:
            self._text = link(library(), _source(*self._name.split("/")))
            self._sha = hashlib.sha1(self._text.encode(), usedforsecurity=False).hexdigest()
        return self._text

    async def __call__(self, redis: Redis, *args: bytes | str | int) -> Any:
        """Run it. Raises StoreOutage."""
        text = self.load()
        try:
            return await pipelining.call(redis, "EVALSHA", self._sha, 1, self._declared, *args)
        except NoScriptError:
            return await pipelining.call(redis, "EVAL", text, 1, self._declared, *args)

    async def packed(self, redis: Redis, *args: object) -> Any:
        """Run it with `args` as one msgpack list, which Lua unpacks. No bytes: its cmsgpack has no `bin`."""
        return await self(redis, msgspec.msgpack.encode(args))

    async def followed_by(
        self, redis: Redis, then: tuple[str | int, ...], *args: object
    ) -> tuple[Any, object]:
        """Run it as `packed` does, and then one command over the same connection, whose reply may be an
        exception. Raises StoreOutage.
        """
        packed, text = msgspec.msgpack.encode(args), self.load()
        for first in (("EVALSHA", self._sha), ("EVAL", text)):
            pipe = redis.pipeline(transaction=False)
            pipe.execute_command(*first, 1, self._declared, packed)
            pipe.execute_command(*then)
            done, after = await pipe.execute(raise_on_error=False)
            if not isinstance(done, NoScriptError):
                break
        if isinstance(done, Exception):
            raise done
        return done, after


_ENDINGS: Final = {"append_event": "write_events", "buffer_hash": "write_buffered"}
"""What a script that names the one calls when it has run, in this order."""
_ENDED: Final = "local function run()\n{}\nend\nlocal reply = run()\n{}return reply\n"
_COMMENT: Final = re.compile(r"^\s*--.*\n", re.MULTILINE)
_DECLARATION: Final = re.compile(r"^(?:local (?:function )?(\w+)|(K\.\w+))", re.MULTILINE)
"""Everything in the library is a declaration at the start of a line, and extends to the next one."""
_KEY_FUNCTION: Final = re.compile(r"^K\.(\w+) = function", re.MULTILINE)
_NAME: Final = re.compile(r"\bK\.\w+|\b[A-Za-z_]\w*")


def link(library: str, body: str) -> str:
    """The script's text: the parts of `library` that `body` names, directly or not, in the library's order.
    Without comments, which may contain any word.

    One that emits events or buffers hashes writes them when `body` has returned (store/lua/buffer.lua).
    """
    parts, body = _parts(_COMMENT.sub("", library)), _COMMENT.sub("", body)
    needed: set[str] = set()
    unread = [body]
    while unread:
        found = _names(unread.pop()) & parts.keys() - needed
        needed |= found
        unread += [parts[name] for name in found]
        unread += [ending for cause, ending in _ENDINGS.items() if cause in found]
    linked = "".join([text for name, text in parts.items() if name in needed])
    endings = "".join([f"{ending}()\n" for cause, ending in _ENDINGS.items() if cause in needed])
    return linked + (_ENDED.format(body, endings) if endings else body)


def key_names(text: str) -> frozenset[str]:
    """The kinds of keys of ours that a linked script names: names of `keys.KEYS`."""
    return frozenset(_KEY_FUNCTION.findall(text))


def _parts(library: str) -> dict[str, str]:
    starts = list(_DECLARATION.finditer(library))
    ends = [start.start() for start in starts[1:]] + [len(library)]
    return {
        start[1] or start[2]: library[start.start() : end].rstrip() + "\n"
        for start, end in zip(starts, ends, strict=True)
    }


def _names(text: str) -> set[str]:
    """Each name in the text. A name in a string, or behind a line's code, only links a little too much."""
    found = set(_NAME.findall(text))
    return found | {"K"} if any(name.startswith("K.") for name in found) else found
