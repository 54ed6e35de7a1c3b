"""`by-endpoint`: the list of requests, newest first, by which a lost submit is found again.

Called by the platform routes. It reads the ledger, so what a DELETE of the ledger forgot is not listed.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import msgspec
from starlette.datastructures import QueryParams

from fal_emulator.faults import Fault, Group
from fal_emulator.generation import Generation, Phase
from fal_emulator.state import State

_MAX_LIMIT = 100


class QueryError(Exception):
    """A parameter cannot be understood; the message says which."""


class Query(msgspec.Struct, frozen=True):
    """The parsed query. Times are aware; `cursor` is the position in the ledger to go on below."""

    endpoints: frozenset[str]
    request_id: str | None
    start: datetime | None
    end: datetime | None
    status: str | None
    payloads: bool
    limit: int
    cursor: int | None


def by_endpoint(state: State, parameters: QueryParams) -> dict[str, object]:
    """One page: `items`, `next_cursor`, `has_more`. Raises QueryError."""
    query = _parse(parameters)
    only = next(iter(query.endpoints)) if len(query.endpoints) == 1 else None
    lagging = bool(state.faults.draw(Group.LAG, only))
    as_of = datetime.now(UTC) - timedelta(seconds=state.settings.lookup_lag if lagging else 0)
    blind = bool(state.faults.draw(Group.BLIND, only))
    found = _matching(state.ledger.generations, query, as_of, blind=blind)
    page = [entry for entry, _ in zip(found, range(query.limit + 1), strict=False)]
    more = len(page) > query.limit
    return {
        "items": [_item(generation, as_of, query) for _, generation in page[: query.limit]],
        "next_cursor": str(page[query.limit - 1][0]) if more else None,
        "has_more": more,
    }


def _parse(parameters: QueryParams) -> Query:
    names = frozenset(parameters.getlist("endpoint_id"))
    if not names:
        raise QueryError("endpoint_id is required")
    try:
        limit = int(parameters.get("limit", "50"))
        cursor = parameters.get("cursor")
        return Query(
            endpoints=names,
            request_id=parameters.get("request_id"),
            start=_time(parameters.get("start")),
            end=_time(parameters.get("end")),
            status=parameters.get("status"),
            payloads="payloads" in parameters.getlist("expand"),
            limit=min(max(1, limit), _MAX_LIMIT),
            cursor=None if cursor is None else int(cursor),
        )
    except ValueError as error:
        raise QueryError(str(error)) from error


def _time(text: str | None) -> datetime | None:
    if text is None:
        return None
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _matching(
    generations: list[Generation], query: Query, as_of: datetime, *, blind: bool
) -> Iterator[tuple[int, Generation]]:
    top = len(generations) if query.cursor is None else min(query.cursor, len(generations))
    for at in range(top - 1, -1, -1):
        generation = generations[at]
        accepted = generation.accepted
        if query.start is not None and accepted < query.start:
            return
        if accepted > as_of or (query.end is not None and accepted > query.end):
            continue
        if blind and generation.phase is Phase.IN_QUEUE:
            continue
        if _fits(generation, query):
            yield at, generation


def _fits(generation: Generation, query: Query) -> bool:
    if generation.endpoint.id not in query.endpoints:
        return False
    if query.request_id is not None and generation.request_id != query.request_id:
        return False
    return query.status is None or query.status == _status(generation)


def _status(generation: Generation) -> str | None:
    answer = generation.answer
    if answer is None:
        return None
    if answer.status < 400:
        return "success"
    return "user_error" if answer.status < 500 else "error"


def _item(generation: Generation, as_of: datetime, query: Query) -> dict[str, object]:
    entry, answer = generation.entry, generation.answer
    item: dict[str, object] = {
        "request_id": entry.request_id,
        "endpoint_id": entry.endpoint,
        "sent_at": entry.accepted_at,
        "started_at": entry.started_at or entry.accepted_at,
    }
    payloads = query.payloads and not generation.erased
    if payloads:
        item["json_input"] = entry.input
    if answer is None or entry.finished_at is None or entry.finished_at > as_of:
        return item
    item |= {"ended_at": entry.finished_at, "status_code": answer.status, "duration": generation.seconds}
    if payloads and Fault.RESULT_EXPIRED not in generation.faults:
        item["json_output"] = answer.body
    return item
