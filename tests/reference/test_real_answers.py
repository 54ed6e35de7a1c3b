"""What a real client meets is what the document says: status, headers, and each field of each answer.

Schemathesis calls everything with what may be sent. This follows one job through its life, and takes no field
that a schema does not name.
"""

import json
import re
from collections.abc import Iterator
from http.client import HTTPConnection, HTTPResponse
from typing import Any, Final
from urllib.parse import urlsplit

import pytest

from image2model.api.openapi import openapi
from tests.reference.test_examples import validator
from tests.support.multipart_body import CONTENT_TYPE, Body
from tests.support.sketches import picture
from tests.support.up_process import Running
from tests.support.wait import wait_until

API: Final = "/api/v1"
MODEL: Final = b"glTF"


class Checked:
    """A client that checks each answer against the document. `met` are the operations and their statuses."""

    def __init__(self, url: str) -> None:
        self._host = urlsplit(url).netloc
        self.met: set[tuple[str, int]] = set()

    def ask(self, method: str, path: str, body: bytes | None = None, **headers: str) -> Any:
        """The answer's JSON, or its bytes. An address that is no path of ours is taken apart."""
        parts = urlsplit(path)
        connection = HTTPConnection(self._host, timeout=60)
        try:
            names = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, path.removeprefix(f"{parts.scheme}://{parts.netloc}"), body, names)
            answer = connection.getresponse()
            return self._check(method, parts.path, answer, answer.read())
        finally:
            connection.close()

    def upload(self, *files: tuple[str, bytes], path: str = "upload/batch", **texts: str) -> Any:
        """The answer to a form."""
        form = Body()
        for name, content in files:
            form.file(name, content)
        for name, text in texts.items():
            form.text(name, text)
        return self.ask("POST", f"{API}/{path}", bytes(form), Content_Type=CONTENT_TYPE)

    def _check(self, method: str, path: str, answer: HTTPResponse, content: bytes) -> Any:
        operation = _operation(method, path)
        where = f"{method} {path} {answer.status}"
        assert str(answer.status) in operation["responses"], where
        response = operation["responses"][str(answer.status)]
        self.met.add((operation["operationId"], answer.status))
        for name, header in response["headers"].items():
            assert not header["required"] or answer.headers[name], f"{where} lacks {name}"
        if not content and "content" not in response:
            return answer.headers
        media_type = answer.headers["content-type"]
        described = _media(response["content"], media_type)
        assert described is not None, f"{where} is {media_type}"
        if "x-events" in described:
            _check_events(described["x-events"], content.decode())
        if not media_type.endswith("json"):
            return content
        value = json.loads(content)
        if described["schema"] != {"type": "object"}:
            validator(described["schema"]).validate(value)
        if media_type == "application/problem+json":
            assert value["code"] in described["examples"], where
        return value


def _operation(method: str, path: str) -> dict[str, Any]:
    """The one whose path has the fewest parameters, as the service itself chooses."""
    found = [
        (template.count("{"), methods[method.lower()])
        for template, methods in openapi()["paths"].items()
        if method.lower() in methods and re.fullmatch(re.sub(r"\{model\}", ".+", _pattern(template)), path)
    ]
    assert found, f"{method} {path} is not in the document"
    operation: dict[str, Any] = min(found, key=lambda one: one[0])[1]
    return operation


def _pattern(template: str) -> str:
    return re.sub(r"\{(?!model\})\w+\}", "[^/]+", template)


def _media(content: dict[str, Any], media_type: str) -> dict[str, Any] | None:
    return content.get(media_type, content.get(media_type.partition(";")[0], content.get("*/*")))


def _check_events(described: dict[str, Any], stream: str) -> None:
    names = []
    for name, data in _events(stream):
        validator(described[name]["schema"]).validate(json.loads(data))
        names.append(name)
    assert names[-1:] == ["complete"]


def _events(stream: str) -> Iterator[tuple[str, str]]:
    for block in re.split(r"\n\n", stream):
        fields = dict(line.split(": ", 1) for line in block.splitlines() if line and not line.startswith(":"))
        if "data" in fields:
            yield fields["event"], fields["data"]


@pytest.mark.long
def test_a_job_from_upload_to_deletion(running: Running) -> None:
    client = Checked(running.url)
    pictures = [(name, picture(fmt="JPEG", seed=seed)) for seed, name in enumerate(("a.jpg", "b.jpg"), 7300)]

    quote = client.upload(*pictures, path="quote")
    assert quote["good"] == 2
    job = client.upload(*pictures, metadata='{"sku": "A-1"}', face_limit="5000")
    links = job["links"]
    client.ask("GET", links["stream"])
    job = client.ask("GET", links["self"])
    assert job["status"] == "succeeded"
    image = job["images"][0]
    assert client.ask("GET", f"{API}/jobs?metadata.sku=A-1")["jobs"][0]["job_id"] == job["job_id"]

    assert client.ask("GET", links["download"])["images"][0]["files"]
    redirect = client.ask("GET", f"{links['download']}/{image['image_id']}")
    file = client.ask("GET", redirect["location"])
    assert file[:4] == MODEL
    assert client.ask("GET", redirect["location"], Range="bytes=0-3") == MODEL
    assert client.ask("GET", links["archive"])[:2] == b"PK"
    assert client.ask("GET", f"{API}/images/{job['job_id']}/{image['image_id']}/thumbnail")
    client.ask("GET", f"{API}/models/{job['model']}")
    client.ask("GET", f"{API}/models")
    client.ask("GET", f"{API}/jobs/{job['job_id']}/webhooks")

    assert client.ask("POST", links["cancel"])["code"] == "already_finished"
    refused = client.upload(("notes.txt", b"not a picture"), pictures[0])
    assert (refused["code"], refused["errors"][0]["file"]) == ("not_an_image", "notes.txt")
    assert client.ask("POST", f"{API}/upload/batch", b"{}", Content_Type="text/plain")["code"]
    both = client.upload(*pictures[:1])["job_id"]
    compared = _compared(client, pictures[0])
    assert len(compared["jobs"]) == 2

    for one in (job["job_id"], both, *(part["job_id"] for part in compared["jobs"])):
        client.ask("DELETE", f"{API}/jobs/{one}")
    wait_until(lambda: client.ask("GET", links["self"]).get("code") == "not_found", timeout=30)

    for path in ("admin/stats", "admin/jobs", "admin/workers", "admin/keys", "admin/dead", "session"):
        client.ask("GET", f"{API}/{path}")
    for path in (
        f"{API}/health/live",
        f"{API}/health/ready",
        "/metrics",
        f"{API}/openapi.json",
        f"{API}/docs",
    ):
        client.ask("GET", path)
    assert len(client.met) > 25, client.met


def _compared(client: Checked, one: tuple[str, bytes]) -> Any:
    form = Body()
    form.file(*one)
    for model in ("tripo3d/tripo/v2.5/image-to-3d", "fal-ai/trellis"):
        form.text("model", model)
    return client.ask("POST", f"{API}/upload/batch", bytes(form), Content_Type=CONTENT_TYPE)
