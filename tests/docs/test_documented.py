"""Nothing that a client, script or operator can meet is left out of the reference."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from starlette.routing import Route

import image2model
from image2model.api.openapi import openapi
from image2model.api.openapi_responses import MEANINGS, problems
from image2model.api.routes import routes
from image2model.docs.pages import LABELS, PAGES, all_metrics
from image2model.errors import IMAGE_FAILURES
from image2model.http.upload.reader import FIELDS
from image2model.jobs.openapi_uploads import BATCH_FORM
from image2model.settings import SETTINGS
from image2model.web import routes as page_routes

PACKAGE = Path(image2model.__file__).parent
ROOT = Path(__file__).parents[2]


def described() -> set[tuple[str, str]]:
    return {(method.upper(), path) for path, methods in openapi()["paths"].items() for method in methods}


def served() -> set[tuple[str, str]]:
    """What the application routes, without the page at `/` and its files, which are for browsers."""
    found = [route for route in (*routes(), *page_routes(max_file_bytes=1)) if isinstance(route, Route)]
    interface = [one for one in found if one.path.startswith("/api/") or one.path == "/metrics"]
    return {
        (method, one.path_format) for one in interface for method in (one.methods or ()) if method != "HEAD"
    }


def test_every_route_is_in_the_document_and_no_other() -> None:
    assert described() == served()


def test_path_parameters_are_those_of_the_address() -> None:
    for path, methods in openapi()["paths"].items():
        for operation in methods.values():
            named = {one["name"] for one in operation["parameters"] if one["in"] == "path"}
            assert named == set(re.findall(r"{(\w+)}", path)), path


def test_the_form_has_every_field_that_an_upload_takes() -> None:
    properties = (BATCH_FORM.schema or {})["properties"]
    assert isinstance(properties, dict)
    assert set(properties) == {"files", *FIELDS}


def test_every_code_of_a_refusal_has_a_meaning_and_no_other() -> None:
    assert {one.code for one in problems()} == set(MEANINGS)


def test_every_code_of_a_failed_image_has_a_meaning() -> None:
    """Codes are literals in the source; none may be raised that the table does not have."""
    code = re.compile(r"(?:ImageFailure\(|ImageError\(\s*code=)\s*\"([a-z_]+)\"")
    text = "\n".join(path.read_text(encoding="utf-8") for path in PACKAGE.rglob("*.py"))
    raised = set(code.findall(text))
    assert {"image_unreadable", "worker_crashed", "result_invalid"} <= raised
    assert raised <= set(IMAGE_FAILURES)


def test_every_setting_is_on_its_page() -> None:
    page = PAGES["settings.md"]()
    for setting in SETTINGS:
        assert f"| `{setting.name}` |" in page
        assert setting.meaning


def test_every_metric_and_each_of_its_labels_is_on_its_page() -> None:
    page = PAGES["metrics.md"]()
    promised = re.findall(r"image2model_[a-z_]+(?<!_)", page)
    assert "image2model_fal_cost_usd_total" in promised
    for name, _kind, labels, meaning in all_metrics():
        assert f"| `{name}` |" in page
        assert meaning
        assert set(labels) <= set(LABELS), name


def test_every_call_and_code_is_on_the_pages() -> None:
    api, errors = PAGES["api.md"](), PAGES["errors.md"]()
    for method, path in served():
        assert f"## `{method} {path}`" in api
    for code in (*MEANINGS, *IMAGE_FAILURES):
        assert f"| `{code}` |" in errors


def test_the_pages_in_docs_are_fresh() -> None:
    for name, make in PAGES.items():
        assert (ROOT / "docs" / name).read_text(encoding="utf-8") == make(), "python -m image2model.docs"


@pytest.mark.parametrize(("stale", "code"), [(False, 0), (True, 1)])
def test_check_tells_whether_a_page_is_stale(tmp_path: Path, stale: bool, code: int) -> None:
    def docs(*arguments: str) -> int:
        command = [sys.executable, "-m", "image2model.docs", *arguments, str(tmp_path)]
        return subprocess.run(command, capture_output=True, timeout=60, check=False).returncode

    assert docs() == 0
    if stale:
        (tmp_path / "errors.md").write_text("old")
    assert docs("--check") == code
