"""`image2model report`: writes a contact sheet of a job, one HTML file that needs no network and prints well.

Texts of strangers stand in it: every one is escaped, and the page's own policy allows no script.
"""

import asyncio
import base64
import secrets
from collections.abc import AsyncIterator, Sequence
from html import escape
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import click
import msgspec

from image2model.cli.advice import advice
from image2model.cli.connection import client, json_option, raise_first_error, service_options
from image2model.cli.output import print_json
from image2model.cli.text import counted, dollars, extent, seconds, size, span
from image2model.client import ApiError, AsyncClient, Job
from image2model.client.documents import Image, RejectedFile
from image2model.domain import Metadata, metadata_text
from image2model.errors import ImageFailure
from image2model.media.preflight import thumbnail
from image2model.shielded import in_thread

CSS: Final = """
:root{color-scheme:light dark;--ink:#1b1f24;--soft:#5b6570;--line:#d9dee4;--card:#fff;--page:#f4f6f8;
--bad:#b42318;--good:#1a7f4b}
@media (prefers-color-scheme:dark){:root{--ink:#e8ebee;--soft:#9aa4ae;--line:#343b43;--card:#1e2329;
--page:#14181c;--bad:#ff8a7a;--good:#5fd39a}}
*{box-sizing:border-box}
body{margin:0;padding:24px;background:var(--page);color:var(--ink);font:14px/1.45 system-ui,sans-serif}
h1{font-size:20px;margin:0 0 4px}h2{font-size:14px;margin:0;overflow-wrap:anywhere}
header p{margin:0;color:var(--soft);overflow-wrap:anywhere}
.totals{display:flex;flex-wrap:wrap;gap:8px 32px;margin:16px 0 24px}
.totals div{display:flex;flex-direction:column-reverse}
.totals dt,dl.facts dt{color:var(--soft)}.totals dd{margin:0;font-size:18px;font-weight:600}
.sheet{display:grid;grid-template-columns:repeat(auto-fill,minmax(300px,1fr));gap:16px}
article{background:var(--card);border:1px solid var(--line);border-radius:8px;padding:12px;
break-inside:avoid}
article.bad{border-color:var(--bad)}
.pair{display:grid;grid-template-columns:1fr 1fr;gap:8px;margin-bottom:8px}
figure{margin:0}figcaption{color:var(--soft);font-size:12px}
.frame{aspect-ratio:1;display:flex;align-items:center;justify-content:center;background:var(--page);
border-radius:4px;color:var(--soft);font-size:12px;text-align:center;overflow:hidden}
.frame img{width:100%;height:100%;object-fit:contain}
.status{font-size:12px;font-weight:600;color:var(--soft)}.succeeded{color:var(--good)}
.failed,.rejected{color:var(--bad)}
dl.facts{display:grid;grid-template-columns:auto 1fr;gap:0 12px;margin:8px 0 0;font-size:13px}
dl.facts dd{margin:0;text-align:right;font-variant-numeric:tabular-nums;overflow-wrap:anywhere}
.error{margin:8px 0 0;font-size:13px;color:var(--bad);overflow-wrap:anywhere}
.advice{margin:4px 0 0;font-size:13px;overflow-wrap:anywhere}
@media print{:root{color-scheme:light;--ink:#000;--soft:#444;--line:#bbb;--card:#fff;--page:#fff;--bad:#a00;
--good:#060}@page{margin:12mm}body{padding:0;font-size:11px}
.sheet{grid-template-columns:repeat(3,1fr);gap:8px}
*{print-color-adjust:exact;-webkit-print-color-adjust:exact}}
"""
_SIZE: Final = 320
_MAX_PREVIEW_BYTES: Final = 32 * 1024 * 1024
_POLICY: Final = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'"
END: Final = "</main></body></html>\n"
_AT_ONCE: Final = 8


class Pictures(msgspec.Struct, frozen=True):
    """The WebP images of one card; None where the service has none."""

    original: bytes | None = None
    preview: bytes | None = None


@click.command(short_help="Write a contact sheet of a job.")
@click.argument("job_id", metavar="JOB")
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path("report.html"),
    show_default=True,
    help="File to write; an existing one is replaced.",
)
@service_options
@json_option
def command(job_id: str, out: Path, url: str | None, key: str | None, as_json: bool) -> None:
    """Write a contact sheet of a job: one HTML file that needs no network and prints well.

    It shows each picture, the model's preview if there is one, the model's numbers, cost and time, and errors
    with what to do next. A job that still runs is shown as it is now.
    """
    job, count = asyncio.run(_write(client(url, key), job_id, out))
    if as_json:
        print_json({"job_id": job.job_id, "status": job.status, "file": str(out), "bytes": count})
        return
    click.echo(
        f"{out}: {counted(job.total, 'picture')}, {counted(job.counts.succeeded, 'model')}, {size(count)}"
    )
    if not job.finished:
        click.echo(f"The job is {job.status}: write the sheet again once it has ended.", err=True)


async def _write(service: AsyncClient, job_id: str, out: Path) -> tuple[Job, int]:
    async with service:
        job = await service.job(job_id)
        return job, await write(service, job, out)


async def write(client: AsyncClient, job: Job, out: Path) -> int:
    """Write the sheet of a job to `out` and return its size in bytes. Raises ClientError, OSError."""
    part = out.with_name(
        f".{secrets.token_hex(8)}.part"
    )  # not based on `out`, whose name may be too long already
    await in_thread(out.parent.mkdir, parents=True, exist_ok=True)
    try:
        with await in_thread(part.open, "xb") as file:
            async for text in _pieces(client, job):
                await in_thread(file.write, text.encode(errors="replace"))
        await in_thread(part.replace, out)
    finally:
        await in_thread(part.unlink, missing_ok=True)
    return (await in_thread(out.stat)).st_size


async def _pieces(client: AsyncClient, job: Job) -> AsyncIterator[str]:
    yield head(job)
    images = sorted(job.images, key=lambda image: image.index)
    for start in range(0, len(images), _AT_ONCE):
        for text in await _cards(client, job.job_id, images[start : start + _AT_ONCE]):
            yield text
    for one in job.rejected:
        yield refused(one)
    yield END


async def _cards(client: AsyncClient, job_id: str, images: Sequence[Image]) -> list[str]:
    with raise_first_error():
        async with asyncio.TaskGroup() as group:
            fetched = [group.create_task(pictures_of(client, job_id, image)) for image in images]
    return [card(image, task.result(), job_id) for image, task in zip(images, fetched, strict=True)]


async def pictures_of(client: AsyncClient, job_id: str, image: Image) -> Pictures:
    """The pictures of one image. Raises ClientError."""
    return Pictures(await _original(client, job_id, image), await _preview(client, job_id, image))


async def _original(client: AsyncClient, job_id: str, image: Image) -> bytes | None:
    try:
        data = await client.thumbnail(job_id, image.image_id)
        return await in_thread(thumbnail, data, size=_SIZE)
    except ApiError as error:
        if error.is_gone:
            return None
        raise
    except ImageFailure:  # accepted at upload, but it cannot be decoded: the card shows that
        return None


async def _preview(client: AsyncClient, job_id: str, image: Image) -> bytes | None:
    files = image.result.files if image.result else ()
    found = next((file for file in files if file.kind == "preview"), None)
    if found is None or (found.size or 0) > _MAX_PREVIEW_BYTES:
        return None
    with TemporaryDirectory(prefix="image2model-") as folder:
        path = Path(folder) / "preview"
        try:
            await client.download(job_id, image.image_id, path, file="preview", size=found.size)
            return await in_thread(_small, path)
        except ApiError as error:
            if error.is_gone:
                return None
            raise


def _small(path: Path) -> bytes | None:
    try:
        return thumbnail(path.read_bytes(), size=_SIZE)
    except ImageFailure:  # a format that we do not read
        return None


def head(job: Job) -> str:
    """The page up to the first card."""
    title = f"image2model · job {escape(job.job_id)}"
    totals = "".join(
        f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>" for name, value in _totals(job)
    )
    about = " · ".join(escape(word) for word in (job.model, job.status, f"started {job.created_at}") if word)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{title}</title><style>{CSS}</style></head>\n"
        f"<body><header><h1>{title}</h1><p>{about}</p>{_own(job.metadata)}"
        f'<dl class="totals">{totals}</dl></header>\n<main class="sheet">\n'
    )


def _own(metadata: Metadata) -> str:
    """The caller's own data; nothing where there is none."""
    rows = "".join(
        f"<dt>{escape(name)}</dt><dd>{escape(metadata_text(value))}</dd>" for name, value in metadata.items()
    )
    return f'<dl class="facts own">{rows}</dl>' if rows else ""


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


def card(image: Image, pictures: Pictures, job_id: str) -> str:
    """The card of an image of the job."""
    name = escape(image.filename)
    absent = "no preview" if image.status == "succeeded" else "no model"
    return (
        f'<article class="{"bad" if image.error else "good"}"><div class="pair">'
        f"{_figure(pictures.original, 'picture', name, 'not kept')}"
        f"{_figure(pictures.preview, 'model', name, absent)}</div>"
        f'<h2><bdi>{name}</bdi></h2><span class="status {escape(image.status)}">{escape(image.status)}</span>'
        f"{_facts(image)}{_own(image.metadata)}{_warnings(image)}{_error(image, job_id)}</article>\n"
    )


def refused(one: RejectedFile) -> str:
    """The card of a file that was refused at the upload."""
    return (
        f'<article class="bad"><h2><bdi>{escape(one.file)}</bdi></h2>'
        f'<span class="status rejected">rejected</span>'
        f"{_error_text(one.code, one.detail, None)}</article>\n"
    )


def _figure(data: bytes | None, caption: str, name: str, absent: str) -> str:
    inside = escape(absent)
    if data is not None:
        encoded = base64.b64encode(data).decode()
        inside = f'<img alt="{caption} of {name}" src="data:image/webp;base64,{encoded}">'
    return f'<figure><div class="frame">{inside}</div><figcaption>{caption}</figcaption></figure>'


def _facts(image: Image) -> str:
    rows = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in _numbers(image))
    return f'<dl class="facts">{rows}</dl>'


def _numbers(image: Image) -> list[tuple[str, str]]:
    mesh = image.result.mesh if image.result else None
    model = image.result.model if image.result else None
    took = span(image.started_at, image.finished_at)
    pixels = f"{image.width} × {image.height}, " if image.width and image.height else ""
    rows = [("picture", f"{pixels}{size(image.size or 0)}")]
    if len(image.views) > 1:
        sides = [(view.side or "view").replace("_", " ") for view in image.views]
        rows = [("views", ", ".join(sides)), ("pictures", size(image.size or 0))]
    if mesh:
        rows += [("triangles", f"{mesh.triangles:,}"), ("vertices", f"{mesh.vertices:,}")]
        rows += [("textures", str(mesh.textures)), ("bounds", extent(mesh))]
    if model:
        rows.append((f"{model.format} size", size(model.size) if model.size is not None else "not known"))
    if took is not None:
        rows.append(("time", seconds(took)))
    if image.cost_usd is not None:
        rows.append(("cost", dollars(image.cost_usd) + _cost_note(image)))
    return [*rows, ("attempt", str(image.attempt))] if image.attempt > 1 else rows


def _cost_note(image: Image) -> str:
    notes = (("reused", image.cached), ("estimated", image.cost_uncertain))
    shown = ", ".join(note for note, holds in notes if holds)
    return f" ({shown})" if shown else ""


def _warnings(image: Image) -> str:
    return "".join(
        f'<p class="advice"><b>{escape(one.code)}</b>: {escape(one.message)}</p>'
        for one in image.all_warnings
    )


def _error(image: Image, job_id: str) -> str:
    return _error_text(image.error.code, image.error.message, job_id) if image.error else ""


def _error_text(code: str, message: str, job_id: str | None) -> str:
    action = advice(code, job_id)
    text = f'<p class="error"><b>{escape(code)}</b>: {escape(message)}</p>'
    return text + (f'<p class="advice">{escape(action)}</p>' if action else "")
