"""Clients of the command line: curl, wget, HTTPie."""

from pathlib import Path
from typing import Final

from tests.bodies.client import Client, Sent, run

_FIELDS: Final = ("-F", 'metadata={"order": "Tür 7"}', "-F", "model=", "-F", "no_cache=True")


def _escaped(path: Path) -> str:
    """A path in the quotes of `curl -F`, which takes `;` and `,` apart otherwise."""
    return str(path).replace("\\", "\\\\").replace('"', '\\"')


def _curl(*flags: str) -> Client:
    def send(url: str, paths: list[Path], folder: Path) -> Sent:
        files = [word for path in paths for word in ("-F", f'files=@"{_escaped(path)}"')]
        answer = run(["curl", "-sS", *flags, *_FIELDS, *files, url], folder)
        return Sent(" ".join(run(["curl", "--version"], folder).split()[:2]), answer)

    return Client(" ".join(("curl -F", *flags)), send)


def _wget(url: str, paths: list[Path], folder: Path) -> Sent:
    """It sends a file as the body: the form is written by hand."""
    head = b'--cut\r\nContent-Disposition: form-data; name="%b"\r\n\r\n%b\r\n'
    fields = {"metadata": '{"order": "Tür 7"}', "model": "", "no_cache": "True"}
    body = b"".join(head % (name.encode(), value.encode()) for name, value in fields.items())
    for path in paths:
        name = path.name.replace("\\", "\\\\").replace('"', '\\"')
        body += head % (f'files"; filename="{name}'.encode(), path.read_bytes())
    form = folder / "form"
    form.write_bytes(body + b"--cut--\r\n")
    header = "--header=Content-Type: multipart/form-data; boundary=cut"
    answer = run(["wget", "-qO-", "--content-on-error", header, f"--post-file={form}", url], folder)
    return Sent(" ".join(run(["wget", "--version"], folder).split()[:3]), answer)


def _httpie(url: str, paths: list[Path], folder: Path) -> Sent:
    files = [f"files@{path}" for path in paths]
    fields = ['metadata={"order": "Tür 7"}', "model=", "no_cache=True"]
    command = [
        "http",
        "--ignore-stdin",
        "--multipart",
        "--body",
        "--pretty=none",
        "POST",
        url,
        *fields,
        *files,
    ]
    return Sent(f"HTTPie {run(['http', '--version'], folder).strip()}", run(command, folder))


CLIENTS: Final = (
    _curl(),
    _curl("--form-escape"),
    _curl("--http1.0"),
    _curl("-H", "Expect: 100-continue"),
    _curl("-H", "Transfer-Encoding: chunked"),
    Client("wget --post-file", _wget, "shape", origin="the form that curl writes"),
    Client("HTTPie", _httpie, heavy=True),
)
