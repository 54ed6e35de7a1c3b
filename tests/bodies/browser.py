"""Clients in a real browser: plain HTML forms, and what pages use to send pictures by script."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Final

from playwright.sync_api import FilePayload, Page, sync_playwright

from tests.bodies.client import Client, Sent
from tests.bodies.pictures import NAMES
from tests.support.npm import FOLDER as NPM

_FLAGS: Final = ("--no-sandbox", "--disable-background-networking", "--disable-component-update")
_PATIENCE_MS: Final = 60_000
_FORM: Final = """<!doctype html><meta charset="{page}">
<form method="post" enctype="multipart/form-data" accept-charset="{charset}" action="{url}">
<input type="hidden" name="_charset_">
<input type="text" name="metadata"><input type="text" name="model">
<input type="checkbox" name="no_cache" checked>
<input type="file" name="files" multiple>
<input type="file" name="file"><input type="file" name="objects[chair]">
<button>Send</button></form>"""
_SCRIPTED: Final = '<!doctype html><meta charset="utf-8"><form></form><input type="file" multiple>'
_FIELDS: Final = 'const fields = {metadata: \'{"order": "Tür 7"}\', model: "", no_cache: true};'
_STANDARD: Final = """
const form = new FormData();
for (const [name, value] of Object.entries(fields)) form.append(name, value);
for (const file of files) form.append("files", file);
"""

Drive = Callable[[Page, str, list[Path]], Sent]


def _in_page(drive: Drive) -> Callable[[str, list[Path], Path], Sent]:
    """Run it on an empty page of the service's origin."""

    def send(url: str, paths: list[Path], _folder: Path) -> Sent:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=[*_FLAGS])
            try:
                page = browser.new_page()
                page.set_default_timeout(_PATIENCE_MS)
                sent = drive(page, url, paths)
                return Sent(f"Chromium {browser.version}{sent.version}", sent.answer)
            finally:
                browser.close()

    return send


def _payloads(paths: list[Path]) -> list[FilePayload]:
    """The pictures as a browser's user picks them: no file of theirs has a `/` in its name."""
    return [{"name": path.name, "mimeType": "image/png", "buffer": path.read_bytes()} for path in paths]


def _open(page: Page, url: str, content: bytes) -> None:
    """Show this page instead of the address, which is that of an upload: a GET of it is refused."""
    page.route(url, lambda route: route.fulfill(body=content, content_type="text/html"), times=1)
    page.goto(url)


def _form(charset: str) -> Drive:
    def drive(page: Page, url: str, paths: list[Path]) -> Sent:
        text = _FORM.format(page=charset, charset=charset, url=url)
        _open(page, url, text.encode(charset))
        page.locator('input[name="metadata"]').fill('{"order": "Tür 7"}')
        page.locator('input[name="files"]').set_input_files(_payloads(paths))
        with page.expect_navigation():
            page.locator("button").click()
        return Sent("", page.locator("body").inner_text())

    return drive


def _script(call: str, package: str = "", file: str = "") -> Drive:
    """A call that gives the answer's text, with the fields in `fields` and the pictures in `files`."""

    def drive(page: Page, url: str, paths: list[Path]) -> Sent:
        version = ""
        _open(page, url, _SCRIPTED.encode())
        if package:
            about = json.loads((NPM / "node_modules" / package / "package.json").read_text())
            version = f", {package} {about['version']}"
            page.add_script_tag(path=NPM / "node_modules" / package / file)
        page.locator('input[type="file"]').first.set_input_files(_payloads(paths))
        script = f"""async (url) => {{
            const files = document.querySelector("input[type=file]").files;
            {_FIELDS} {call}
        }}"""
        return Sent(version, page.evaluate(script, url))

    return drive


_FETCH: Final = f"{_STANDARD} return (await fetch(url, {{method: 'POST', body: form}})).text();"
_JQUERY: Final = f"""{_STANDARD}
const settings = {{method: "POST", data: form, processData: false, contentType: false, dataType: "text"}};
return jQuery.ajax(url, settings);"""
_AXIOS: Final = """
const asText = {responseType: "text", transformResponse: (text) => text};
return (await axios.postForm(url, {...fields, files}, asText)).data;"""
_DROPZONE: Final = """
return new Promise((done) => {
  const settings = {url, uploadMultiple: true, parallelUploads: 10, autoProcessQueue: false};
  const zone = new Dropzone(document.querySelector("form"), settings);
  zone.on("sendingmultiple", (sent, request, form) => {
    for (const [name, value] of Object.entries(fields)) form.append(name, value);
  });
  zone.on("completemultiple", (sent) => done(sent[0].xhr.responseText));
  for (const file of files) zone.addFile(file);
  zone.processQueue();
});"""
_FILEPOND: Final = """
return new Promise((done) => {
  const ondata = (form) => {
    for (const [name, value] of Object.entries(fields)) form.append(name, value);
    return form;
  };
  const process = {url, ondata, onload: done, onerror: done};
  FilePond.create(document.querySelector("form"), {name: "files", files: [{source: files[0]}],
    server: {process}});
});"""
_LATIN: Final = (NAMES[0], '&#26885;&#23376;; 100% "neu".png', "&#129681; 'c'.png")
"""What windows-1252 has no code for is sent as HTML writes it."""

CLIENTS: Final = (
    Client("browser, HTML form", _in_page(_form("utf-8"))),
    Client("browser, HTML form in windows-1252", _in_page(_form("windows-1252")), shown=_LATIN),
    Client("browser, fetch", _in_page(_script(_FETCH))),
    Client("browser, jQuery.ajax", _in_page(_script(_JQUERY, "jquery", "dist/jquery.min.js"))),
    Client("browser, axios.postForm", _in_page(_script(_AXIOS, "axios", "dist/axios.min.js"))),
    Client("browser, Dropzone", _in_page(_script(_DROPZONE, "dropzone", "dist/dropzone-min.js"))),
    Client(
        "browser, FilePond",
        _in_page(_script(_FILEPOND, "filepond", "dist/filepond.min.js")),
        pictures=(0,),
        shown=NAMES[:1],
    ),
)
