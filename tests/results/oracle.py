"""What must become of an altered result, worked out from what FAL answered alone and not from our code.

Used by the tests of the table. The rules are those of the interface: a whole model is handed over whatever
lies beside it; costs are FAL's units times FAL's price where both are believable, else the listed price.
"""

import math
from dataclasses import dataclass, field
from typing import Any

from tests.results.table import Case
from tests.support.altering import Body, FileReply
from tests.support.altering_proxy import AlteringProxy, Seen, changes_of, role_of

MODELS = frozenset({"model", "obj", "fbx", "usdz", "stl"})
PRICES = {"tripo3d/tripo/v2.5/image-to-3d": 300_000, "fal-ai/meshy/v6/image-to-3d": 800_000}
"""Micro-dollars for a run with default parameters."""

_MOST = 1_000_000_000


@dataclass
class Expected:
    """`models` are the bytes of every whole model, the preferred one alone where that is whole.

    Without any it fails with one of `codes`. `lost`: files that are not to be had; `uncertain` of None:
    either will do; `words` of FAL's that its error must hold.
    """

    models: set[bytes] = field(default_factory=set)
    codes: frozenset[str] = frozenset()
    lost: int = 0
    micro: int = 0
    uncertain: bool | None = False
    attempts: int = 1
    words: str | None = None


def expected(proxy: AlteringProxy, case: Case, seen: Seen) -> Expected:
    """For a case whose (last) request is this one."""
    found = Expected(micro=_billed(case, seen)[0], uncertain=_billed(case, seen)[1])
    end = _end(case)
    if end is not None:
        _end_without(found, end, PRICES[seen.endpoint])
        return found
    urls = _urls(proxy, seen.output)
    whole = {url: content for url in urls if (content := _content(proxy, case, url)) is not None}
    models = {url: content for url, content in whole.items() if role_of(url) in MODELS}
    preferred = {content for url, content in models.items() if role_of(url) == "model"}
    found.models = preferred or set(models.values())
    found.lost = len([url for url in urls if url not in whole])
    if not models:
        named = any(role_of(url) in MODELS for url in urls)
        found.codes = frozenset({"result_expired"} if named else {"result_invalid"})
    return found


def _end(case: Case) -> Body | None:
    """The reply in place of a result for good, where by-endpoint has none either."""
    for one in case:
        if one.reply is not None and one.reply.body and one.reply.spell.lasting:
            return one.reply.body if any(other.hidden for other in case) else None
    return None


def _end_without(found: Expected, end: Body, price: int) -> None:
    if end.status == 404:
        found.codes, found.micro, found.uncertain = frozenset({"result_expired"}), price, True
    elif end.status >= 500:
        found.codes, found.micro, found.uncertain = frozenset({"generation_failed"}), 0, False
        found.attempts, found.words = 3, "boom"
    elif end.status == 422:
        units = end.headers.get("x-fal-billable-units")
        found.micro = price if units is None else round(float(units) * price)
        found.uncertain = units is None
        safety = b"safety" in end.content
        found.codes = frozenset({"content_policy" if safety else "rejected_by_model"})
        found.words = "safety violations" if safety else "no object in the image"
    else:
        found.codes, found.micro, found.uncertain = frozenset({"result_invalid"}), price, None
        found.words = "out of memory" if b"memory" in end.content else None


def _billed(case: Case, seen: Seen) -> tuple[int, bool | None]:
    price = PRICES[seen.endpoint]
    by_listing = any(one.reply is not None and one.reply.spell.lasting for one in case)
    units = next((one.units for one in case if one.units is not None), None)
    if units is None or by_listing:
        return price, False
    try:
        number = float(units)
    except ValueError:
        return price, False
    if not math.isfinite(number) or not 0 <= number <= 1_000_000:
        return price, False
    micro = round(number * price)
    return (price, True) if 2 * micro < price or micro > _MOST else (micro, False)


def _urls(proxy: AlteringProxy, output: Any) -> set[str]:
    """Every address in the output that leads to a file of FAL's."""
    if isinstance(output, str):
        ours = output.startswith((f"{proxy.url}/files/", f"{proxy.elsewhere}/files/"))
        return {output} if ours else set()
    parts = output.values() if isinstance(output, dict) else output if isinstance(output, list) else ()
    return {url for part in parts for url in _urls(proxy, part)}


def _content(proxy: AlteringProxy, case: Case, url: str) -> bytes | None:
    """The bytes that the address gives in the end, None if they are not to be had whole."""
    path = url.removeprefix(proxy.url).removeprefix(proxy.elsewhere).partition("?")[0]
    content = proxy.originals.get(path)
    for change in changes_of(case, path):
        if change.lasting:
            return None
        if isinstance(change, FileReply) and change.spell.lasting:
            content = change.make(Body()).content
    return content
