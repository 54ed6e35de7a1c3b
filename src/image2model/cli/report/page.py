"""The sheet's head with the totals, and its end.

Who calls it: `sheet`. Pure. The page forbids itself every request by a policy of its own.
"""

from html import escape
from typing import Final

from image2model.cli.numbers import dollars, seconds, size, span
from image2model.cli.report.style import CSS
from image2model.client import Job

_POLICY: Final = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'"
END: Final = "</main></body></html>\n"


def head(job: Job) -> str:
    """All that comes before the first card."""
    title = f"image2model · job {escape(job.job_id)}"
    totals = "".join(
        f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>" for name, value in _totals(job)
    )
    about = " · ".join(escape(word) for word in (job.model, job.status, f"begun {job.created_at}") if word)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{title}</title><style>{CSS}</style></head>\n"
        f"<body><header><h1>{title}</h1><p>{about}</p>"
        f'<dl class="totals">{totals}</dl></header>\n<main class="sheet">\n'
    )


def _totals(job: Job) -> list[tuple[str, str]]:
    results = [image.result for image in job.images if image.result]
    triangles = sum(result.mesh.triangles for result in results if result.mesh)
    stored = sum(result.model.size or 0 for result in results if result.model)
    took = span(job.created_at, job.finished_at)
    counts = job.counts
    rows = [("pictures", str(job.total)), ("models", str(counts.succeeded)), ("failed", str(counts.failed))]
    rows += [("cancelled", str(counts.cancelled))] if counts.cancelled else []
    rows += [("rejected", str(len(job.rejected)))] if job.rejected else []
    rows += [("not finished", str(unfinished))] if (unfinished := _unfinished(job)) else []
    rows += [
        ("triangles", f"{triangles:,}"),
        ("size of models", size(stored)),
        ("cost", dollars(job.cost_usd or 0)),
    ]
    return [*rows, ("time", seconds(took))] if took is not None else rows


def _unfinished(job: Job) -> int:
    return job.total - job.counts.succeeded - job.counts.failed - job.counts.cancelled
