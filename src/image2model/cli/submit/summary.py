"""The summary at the end of a `submit`: how many, what failed and why, what it cost, and what to do next."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import click
import msgspec

from image2model.cli.advice import advice
from image2model.cli.submit.item import Item, Outcome, printable, things
from image2model.cli.submit.progress import by_job, clock
from image2model.cli.text import counted
from image2model.domain import ImageStatus


def report(items: Sequence[Item], *, as_json: bool, out: Path, seconds: float) -> int:
    """Print the summary and return the exit code: 1 if any picture has no model."""
    counts = Counter(item.outcome for item in items)
    cost = round(sum(item.bought_usd for item in items), 6)
    if as_json:
        document = {"type": "summary", "pictures": len(items), "cost_usd": cost}
        outcomes = {outcome.value: counts[outcome] for outcome in Outcome if outcome is not Outcome.PENDING}
        click.echo(msgspec.json.encode({**document, **outcomes}).decode())
    else:
        _print(items, counts, seconds)
        _next_steps(items, out)
    return 1 if counts[Outcome.FAILED] or not items else 0


def _print(items: Sequence[Item], counts: Counter[Outcome], seconds: float) -> None:
    if not items:
        click.echo("No pictures were found.")
        return
    failed = [item for item in items if item.outcome is Outcome.FAILED]
    click.echo(
        f"{counted(len(items), things(items))}: {counted(counts[Outcome.SAVED], 'model')} saved, "
        f"{counts[Outcome.KEPT]} done before, {len(failed)} failed; {_cost(items)}; {clock(seconds)}"
    )
    for item in failed:
        click.echo(f"  {printable(item.given)}  {item.code}: {item.reason} ({_cost([item])})")
    for item in items:
        for one in item.image.all_warnings if item.image else ():
            click.echo(f"  {printable(item.given)}  {one.code}: {one.message}")
    jobs = list(by_job(failed))
    for code in dict.fromkeys(item.code for item in failed):
        if action := advice(code, jobs[0] if len(jobs) == 1 else None):
            click.echo(f"  {code}: {action}")
    if any(item.image is not None and item.image.status == ImageStatus.FAILED for item in failed):
        click.echo("`--retry-failed` runs them again; each is a new paid attempt.")


def _cost(items: Sequence[Item]) -> str:
    """The cost of this run, and separately what its pictures have cost earlier runs."""
    bought = sum(item.bought_usd for item in items)
    earlier = sum(item.cost_usd for item in items) - bought
    others = f", and {earlier:.2f} USD in earlier runs" if round(earlier, 6) else ""
    estimated = [one.image is not None and one.image.cost_uncertain for one in items if one.cost_usd]
    uncertain = f", {'all' if all(estimated) else 'part'} of it estimated" if any(estimated) else ""
    return f"cost {bought:.2f} USD{others}{uncertain}"


def _next_steps(items: Sequence[Item], out: Path) -> None:
    """Print where the models are, and how to look at them."""
    jobs = list(by_job([item for item in items if item.outcome is Outcome.SAVED]))
    if not jobs:
        return
    click.echo(f"Models: {out}")
    others = f"; all {len(jobs)}: `image2model jobs`" if len(jobs) > 1 else ""
    click.echo(f"Contact sheet: `image2model report {jobs[0]}`{others}")
