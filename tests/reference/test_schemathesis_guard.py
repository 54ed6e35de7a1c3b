"""A run of schemathesis against a service that is not there, or that refuses everything, is no proof."""

import re
from pathlib import Path
from typing import Any

from tests.support.ports import free_port
from tests.support.schemathesis_run import Exchange, Run, run_schemathesis

NONE = re.compile("(?!)")


def document() -> dict[str, Any]:
    answers = {"200": {"description": "fine", "content": {"text/plain": {}}}}
    paths = {f"/{name}": {"get": {"responses": answers}} for name in ("one", "two")}
    return {"openapi": "3.1.0", "info": {"title": "t", "version": "1"}, "paths": paths}


def test_a_server_that_is_away_is_a_fault(tmp_path: Path) -> None:
    port = free_port()
    run = run_schemathesis(
        f"http://127.0.0.1:{port}",
        document(),
        tmp_path,
        max_examples=1,
        phases="examples,fuzzing",
        max_time=0,
    )
    assert run.faults(document()) != []
    assert not run.good


def test_operations_that_no_call_went_to_are_named() -> None:
    calls = (Exchange("GET", "/one", 200), Exchange("POST", "/two", 200))
    run = Run(good=True, said="", exchanges=calls)
    assert run.faults(document()) == ["no call went to GET /two"]
    assert run.faults(document(), ("/two",)) == []
    assert Run(good=True, said="", exchanges=()).faults(document()) == ["no call went to GET /one, GET /two"]


def test_calls_without_an_answer_and_findings_are_faults() -> None:
    calls = (Exchange("GET", "/one", 200), Exchange("GET", "/two", 0))
    assert len(Run(good=True, said="", exchanges=calls).faults(document())) == 1
    assert Run(good=False, said="a 500", exchanges=calls).faults(document())[0] == "a 500"


def test_calls_that_were_refused_for_want_of_credentials_are_found() -> None:
    calls = (Exchange("GET", "/one", 401), Exchange("GET", "/two", 403), Exchange("GET", "/two", 404))
    run = Run(good=True, said="", exchanges=calls)
    assert run.refused(NONE) == list(calls[:2])
    assert run.refused(re.compile("/one")) == [calls[1]]
