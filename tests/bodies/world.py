"""The running service that the clients send to, and what must have become of an upload."""

import hashlib
import json
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.request import Request, urlopen

from tests.bodies.client import Client
from tests.bodies.pictures import METADATA, NAMES, written
from tests.support.up_process import Up

UPLOAD: Final = "/api/v1/upload/batch"
_DEADLINE_S: Final = 60


@dataclass(frozen=True)
class World:
    """`url` is the service, `emulator` its FAL, `folder` a place for programs, `paths` the pictures."""

    url: str
    emulator: str
    folder: Path
    paths: list[Path]

    def check(self, answer: str, paths: list[Path], client: Client) -> None:
        """Raise AssertionError unless this answer's job has the pictures whole, under their names, with the
        fields that the client sends."""
        job = json.loads(answer)
        assert "job_id" in job, answer
        job = self.ended(job["job_id"])
        images = sorted(
            job["images"], key=lambda one: client.shown.index(one["filename"]) if client.any_order else 0
        )
        hashes = [hashlib.sha256(path.read_bytes()).hexdigest() for path in paths]
        _same("names", [one["filename"] for one in images], list(client.shown))
        _same("digests", [one["sha256"] for one in images], hashes)
        _same("statuses", {one["status"] for one in images}, {"succeeded"})
        _same("originals", [self.original(job["job_id"], one["image_id"]) for one in images], hashes)
        _same("metadata", job["metadata"], METADATA if client.fields else {})
        _same("cached", {one["cached"] for one in images}, {not client.fields})
        if client.fields:
            _same("what FAL got", [self.at_fal(one["fal_request_id"]) for one in images], hashes)

    def ended(self, job_id: str) -> dict[str, Any]:
        """The job's document once it has ended."""
        deadline = time.monotonic() + _DEADLINE_S
        while (job := self.ask(f"{self.url}/api/v1/status/{job_id}"))["finished_at"] is None:
            assert time.monotonic() < deadline, job
            time.sleep(0.05)
        return job

    def original(self, job_id: str, image_id: str) -> str:
        """The digest of the stored original."""
        return _digest(f"{self.url}/api/v1/download/{job_id}/{image_id}?file=original")

    def at_fal(self, request_id: str) -> str:
        """The digest of the picture that FAL got."""
        entries = self.ask(f"{self.emulator}/_emulator/ledger")["submissions"]
        (entry,) = [one for one in entries if one["request_id"] == request_id]
        (file,) = entry["inputs"]
        return str(file["sha256"])

    def ask(self, url: str) -> dict[str, Any]:
        with urlopen(url, timeout=_DEADLINE_S) as answer:  # noqa: S310 - on loopback
            found: dict[str, Any] = json.load(answer)
            return found


def _same(what: str, found: object, wanted: object) -> None:
    assert found == wanted, f"{what}: {found} instead of {wanted}"


def _digest(url: str) -> str:
    with urlopen(url, timeout=_DEADLINE_S) as answer:  # noqa: S310 - on loopback
        return hashlib.sha256(answer.read()).hexdigest()


@contextmanager
def running() -> Iterator[World]:
    """`image2model up` with its emulator. It has made these pictures before, so that `no_cache` shows."""
    with tempfile.TemporaryDirectory(prefix="i2m-") as name:
        folder = Path(name)
        settings = {"I2M_LOG_LEVEL": "warning", "I2M_RATE_LIMIT": "6000/min"}
        up = Up(folder / "data", "--port", "0", **settings)
        try:
            emulator = next(line.split()[2] for line in up.ready().seen if line.startswith("FAL emulator"))
            (folder / "pictures").mkdir()
            world = World(up.url, emulator, folder, written(folder / "pictures"))
            world.ended(_first_upload(world))
            yield world
        finally:
            up.end()


def _first_upload(world: World) -> str:
    body = b"".join(
        b'--cut\r\nContent-Disposition: form-data; name="files"; filename="a.png"\r\n\r\n%b\r\n'
        % path.read_bytes()
        for path in world.paths
    )
    request = Request(world.url + UPLOAD, body + b"--cut--\r\n", method="POST")  # noqa: S310 - on loopback
    request.add_header("Content-Type", "multipart/form-data; boundary=cut")
    with urlopen(request, timeout=_DEADLINE_S) as answer:  # noqa: S310 - on loopback
        job = json.load(answer)
    assert len(job["images"]) == len(NAMES)
    return str(job["job_id"])
