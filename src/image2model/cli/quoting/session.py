"""One `quote` from its arguments to its estimate.

Who calls it: the command. Nothing is bought, and nothing is written on disk.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from image2model.cli.quoting.asking import Asker
from image2model.cli.quoting.estimate import Entry, Estimate, Fate, Verdict
from image2model.cli.submit.collect import Found, collect
from image2model.cli.submit.item import Item, Outcome
from image2model.cli.submit.ledger import Ledger, Wish
from image2model.cli.submit.naming import assign
from image2model.cli.submit.planning import Plan, make_plan
from image2model.cli.submit.saving import Places
from image2model.client import AsyncClient
from image2model.threads import in_thread

OnProgress = Callable[[int, int], None]


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """The arguments of the command."""

    paths: Sequence[Path]
    out: Path
    model: str | None
    params: dict[str, object] | None
    face_limit: int | None


async def run(request: Request, client: AsyncClient, on_progress: OnProgress) -> Estimate:
    """What `submit` would cost; `on_progress` hears how many of how many the service has judged.

    Raises click.UsageError, ClientError, OSError.
    """
    collected = await in_thread(collect, request.paths, leave_out=request.out)
    wish = Wish.of(client.url, request.model, request.params, request.face_limit)
    ledger = await in_thread(Ledger.as_it_is, Places(request.out).ledger)
    with ledger:
        plan = await in_thread(_plan, collected.pictures, ledger, wish, request.out)
        async with client:
            asker = Asker(client, ledger, wish)
            fresh = [*plan.fresh, *await _again(asker, plan)]
            verdicts = await _judged(asker, fresh, on_progress)
    last = verdicts[-1] if verdicts else Verdict([])
    return Estimate(_entries(plan, verdicts), collected.skipped, last.model, last.price_note)


def _plan(pictures: Sequence[Found], ledger: Ledger, wish: Wish, out: Path) -> Plan:
    return make_plan(pictures, assign(pictures, ledger.places(), out), ledger, wish, out)


async def _again(asker: Asker, plan: Plan) -> list[Item]:
    return [item for batch in plan.known for item in await asker.to_send_again(batch)]


async def _judged(asker: Asker, items: Sequence[Item], on_progress: OnProgress) -> list[Verdict]:
    verdicts: list[Verdict] = []
    done = 0
    async for verdict in asker.judge(items):
        verdicts.append(verdict)
        done += len(verdict.entries)
        on_progress(done, len(items))
    return verdicts


def _entries(plan: Plan, verdicts: Sequence[Verdict]) -> list[Entry]:
    """In the plan's order: one for each picture, judged or known without."""
    judged = {entry.item.sha256: entry for verdict in verdicts for entry in verdict.entries}
    return [judged.get(item.sha256) or Entry(item, _known(item)) for item in plan.items]


def _known(item: Item) -> Fate:
    if item.outcome is Outcome.FAILED:
        return Fate.REFUSED
    return Fate.SAVED if item.outcome is Outcome.KEPT else Fate.SENT
