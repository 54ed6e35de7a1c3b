"""The contact sheet: whole, self-contained, and harmless whatever the names are."""

import re
import struct
import zlib
from html.parser import HTMLParser
from pathlib import Path

import pytest
from aiohttp import web

from image2model.cli.advice import advice
from image2model.cli.commands.report import Pictures, card, refused, write
from image2model.cli.text import dollars, seconds, size, span
from image2model.client import AsyncClient, Image, Job
from image2model.client.documents import Counts, ImageError, RejectedFile, Result, Warned
from tests.cli.conftest import Cli

HOSTILE = '<script>alert(1)</script>"\' onerror="x" \u202egnp.jpg'


class _Page(HTMLParser):
    """What a browser would see."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words += data

    def named(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def _png(width: int, height: int) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    rows = (b"\0" + b"\x80" * 3 * width) * height
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


def test_warnings_of_a_result_are_on_its_card() -> None:
    warned = Warned("file_missing", "preview", "<b>FAL's preview</b> is missing.")
    image = Image(image_id="i", status="succeeded", result=Result(warnings=(warned,)))
    page = _Page(card(image, Pictures(), "job"))
    assert "<b>FAL's preview</b> is missing." in page.words


def test_hostile_names_and_errors_stay_text() -> None:
    error = ImageError(code="generation_failed", message="<img src=http://x>", retryable=True)
    image = Image(image_id="i", status="failed", filename=HOSTILE, error=error)
    page = _Page(
        card(image, Pictures(original=b"RIFF"), "<b>job") + refused(RejectedFile(HOSTILE, "c", "<i>"))
    )
    assert {tag for tag, _ in page.tags}.isdisjoint({"script", "i"})
    assert [picture["src"] for picture in page.named("img")] == ["data:image/webp;base64,UklGRg=="]
    assert not [name for _, attributes in page.tags for name in attributes if name.startswith("on")]
    assert HOSTILE in page.words
    assert "image2model retry <b>job" in page.words  # what to do, with the job's id


@pytest.mark.parametrize(
    "code", ["generation_failed", "submission_unconfirmed", "image_truncated", "cancelled"]
)
def test_errors_say_what_to_do(code: str) -> None:
    assert advice(code).endswith((".", "again."))


def test_a_code_of_a_newer_service_gets_no_advice() -> None:
    assert advice("brand_new") == ""


def test_cost_that_fal_did_not_say_is_told_as_estimated() -> None:
    image = Image(image_id="i", status="failed", filename="a.png", cost_usd=0.3, cost_uncertain=True)
    assert "$0.30 (estimated)" in card(image, Pictures(), "job")


def test_numbers_read_well() -> None:
    assert [size(999), size(4200), size(53_124_000)] == ["999 B", "4 kB", "53.1 MB"]
    assert [seconds(4.24), seconds(185), seconds(7400)] == ["4.2 s", "3 min 05 s", "2 h 03 min"]
    assert [dollars(0.3), dollars(0.001), dollars(None)] == ["$0.30", "$0.0010", "not known"]
    assert span("2026-11-24T10:00:00Z", "2026-11-24T10:00:02.5Z") == 2.5
    assert span("2026-11-24T10:00:00Z", None) is None
    assert span("yesterday", "today") is None


async def _gone(_request: web.Request) -> web.Response:
    problem = {"code": "not_found", "detail": "gone"}
    return web.json_response(problem, status=404, content_type="application/problem+json")


async def _thumbnail(request: web.Request) -> web.Response:
    if request.match_info["image"].endswith("3"):
        return await _gone(request)
    return web.Response(body=_png(64, 48), content_type="image/webp")


async def _serve(unused_tcp_port: int) -> web.AppRunner:
    app = web.Application()
    app.router.add_get("/api/v1/images/{job}/{image}/thumbnail", _thumbnail)
    app.router.add_get("/{anything:.*}", _gone)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", unused_tcp_port).start()
    return runner


async def test_a_big_job_is_one_file_that_asks_for_nothing(tmp_path: Path, unused_tcp_port: int) -> None:
    images = tuple(
        Image(image_id=f"i{n}", index=n, status="succeeded", filename=f"{n}.png") for n in range(103)
    )
    job = Job("j", "partial", total=103, counts=Counts(succeeded=103), images=images)
    runner = await _serve(unused_tcp_port)
    try:
        async with AsyncClient(f"http://127.0.0.1:{unused_tcp_port}", patience=1) as client:
            count = await write(client, job, tmp_path / "new" / "sheet.html")
    finally:
        await runner.cleanup()
    text = (tmp_path / "new" / "sheet.html").read_text()
    page = _Page(text)
    assert count == len(text.encode())
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["sheet.html"]
    assert re.findall(r"<bdi>(\d+)\.png", text) == [str(n) for n in range(103)]
    assert len(page.named("img")) == 103 - 10  # the originals that end in 3 are gone
    assert all((picture["src"] or "").startswith("data:image/webp;base64,") for picture in page.named("img"))
    assert not page.named("link") + page.named("script") + page.named("a")
    assert "url(" not in text
    assert "@import" not in text


def test_a_report_that_fails_leaves_the_old_one(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "report.html").write_text("old")
    done = cli("report", "nothing")
    assert done.returncode == 1
    assert (tmp_path / "report.html").read_text() == "old"
    assert not list(tmp_path.glob("*.part"))
