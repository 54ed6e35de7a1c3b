"""One image of the sheet as HTML: the pictures side by side, the numbers, and what went wrong.

Who calls it: `sheet`. Pure.
"""

import base64
from html import escape

import msgspec

from image2model.cli.advice import advice
from image2model.cli.numbers import dollars, extent, seconds, size, span
from image2model.client.documents import Image, RejectedFile


class Pictures(msgspec.Struct, frozen=True):
    """WebP images of one card; None where the service has none."""

    original: bytes | None = None
    preview: bytes | None = None


def card(image: Image, pictures: Pictures, job_id: str) -> str:
    """The card of an image of the job."""
    name = escape(image.filename)
    absent = "no preview" if image.status == "succeeded" else "no model"
    return (
        f'<article class="{"bad" if image.error else "good"}"><div class="pair">'
        f"{_figure(pictures.original, 'picture', name, 'not kept')}"
        f"{_figure(pictures.preview, 'model', name, absent)}</div>"
        f'<h2><bdi>{name}</bdi></h2><span class="status {escape(image.status)}">{escape(image.status)}</span>'
        f"{_facts(image)}{_warnings(image)}{_error(image, job_id)}</article>\n"
    )


def refused(one: RejectedFile) -> str:
    """The card of a file that was refused at the upload."""
    return (
        f'<article class="bad"><h2><bdi>{escape(one.file)}</bdi></h2>'
        f'<span class="status rejected">rejected</span>'
        f"{_words(one.code, one.detail, None)}</article>\n"
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
    rows = [("picture", f"{pixels}{size(image.size)}")]
    if mesh:
        rows += [("triangles", f"{mesh.triangles:,}"), ("vertices", f"{mesh.vertices:,}")]
        rows += [("textures", str(mesh.textures)), ("bounds", extent(mesh))]
    if model:
        rows.append((f"{model.format} size", size(model.size) if model.size is not None else "not known"))
    if took is not None:
        rows.append(("time", seconds(took)))
    if image.cost_usd is not None:
        rows.append(("cost", dollars(image.cost_usd) + _of_cost(image)))
    return [*rows, ("attempt", str(image.attempt))] if image.attempt > 1 else rows


def _of_cost(image: Image) -> str:
    notes = (("reused", image.cached), ("estimated", image.cost_uncertain))
    shown = ", ".join(note for note, holds in notes if holds)
    return f" ({shown})" if shown else ""


def _warnings(image: Image) -> str:
    found = image.result.warnings if image.result else ()
    return "".join(f'<p class="advice"><b>{escape(one.code)}</b>: {escape(one.message)}</p>' for one in found)


def _error(image: Image, job_id: str) -> str:
    return _words(image.error.code, image.error.message, job_id) if image.error else ""


def _words(code: str, message: str, job_id: str | None) -> str:
    todo = advice(code, job_id)
    said = f'<p class="error"><b>{escape(code)}</b>: {escape(message)}</p>'
    return said + (f'<p class="advice">{escape(todo)}</p>' if todo else "")
