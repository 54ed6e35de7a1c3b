"""Schemathesis finds nothing: no 5xx, and no answer that the document does not describe.

It calls as the owner of an open service, and of one with keys as an admin, as a user, and as nobody. A few
examples of each call; the long run (`make fuzz`) sets `FUZZ_SECONDS`, and each goes on for so long.
"""

import itertools
import os
import re
from pathlib import Path

import pytest

from image2model.http.reference import IMAGE, JOB, KEY
from tests.reference.keyed import Keyed, Visitor
from tests.support.schemathesis_run import Exchange, run_schemathesis, with_real_ids
from tests.support.up_process import Running

SECONDS = int(os.environ.get("FUZZ_SECONDS", "0"))
EXAMPLES = 50 if SECONDS else 1
PHASES = "examples,coverage,fuzzing" if SECONDS else "examples,fuzzing"
ENDLESS = ("/api/v1/events",)
OPEN = re.compile(r"/api/v1/(health/(live|ready)|docs)|/metrics", re.ASCII)
OWN_CREDENTIALS = re.compile(r"/api/v1/(files/[^/]*|webhooks/fal|session)", re.ASCII)
FAL = "/api/v1/webhooks/fal"

pytestmark = pytest.mark.timeout(120 + 4 * SECONDS)


@pytest.mark.long
def test_no_answer_is_a_5xx_or_outside_its_schema(running: Running, tmp_path: Path) -> None:
    owner = Visitor(running.url)
    document = with_real_ids(owner.document(), (JOB, IMAGE), owner.finished_job)
    run = run_schemathesis(
        running.url,
        document,
        tmp_path,
        max_examples=EXAMPLES,
        phases=PHASES,
        max_time=SECONDS,
        leave_out=ENDLESS,
    )
    assert run.faults(document, ENDLESS) == []
    assert run.refused(OWN_CREDENTIALS) == []
    assert {call.status for call in run.exchanges} >= {200, 202}


def explored(keyed: Keyed, who: Visitor, folder: Path, leave_out: tuple[str, ...] = ()) -> list[Exchange]:
    """Every call made with the credentials of `who`, on jobs of its own, or else all on one of a user's.

    Each address has a key of its own to end, so that only those of nobody are revoked.
    """
    keyed.resume_queues()
    real = keyed.ids_of(who) if who.headers else itertools.repeat(next(keyed.ids_of(keyed.user())))
    document = with_real_ids(keyed.admin.document(), (JOB, IMAGE, KEY), lambda: next(real))
    run = run_schemathesis(
        keyed.url,
        document,
        folder,
        max_examples=EXAMPLES,
        phases=PHASES,
        max_time=SECONDS,
        headers={**who.headers, "X-Forwarded-For": who.address},
        leave_out=leave_out,
    )
    assert run.faults(document, leave_out) == []
    return list(run.exchanges)


@pytest.mark.long
def test_an_admin_meets_no_5xx_and_no_answer_outside_its_schema(keyed: Keyed, tmp_path: Path) -> None:
    """With the key of the settings: the runs pause queues and revoke keys, and that one cannot be revoked."""
    calls = explored(keyed, keyed.admin, tmp_path, ENDLESS)
    assert [call for call in calls if call.status in {401, 403} and call.path != FAL] == []
    assert ("GET", 200) in {(call.method, call.status) for call in calls if "/admin/" in call.path}


@pytest.mark.long
def test_a_user_meets_no_5xx_and_gets_nothing_of_the_admins(keyed: Keyed, tmp_path: Path) -> None:
    calls = explored(keyed, keyed.user(), tmp_path, ENDLESS)
    assert {call.status for call in calls if "/admin/" in call.path} <= {403, 405}
    assert {call.status for call in calls} >= {200, 202, 204, 307}


@pytest.mark.long
def test_nobody_gets_anything_without_a_key(keyed: Keyed, tmp_path: Path) -> None:
    calls = explored(keyed, keyed.nobody, tmp_path)
    closed = [call for call in calls if not OPEN.fullmatch(call.path)]
    assert [call for call in closed if call.status < 400] == []
    refusals = {call.status for call in closed if not OWN_CREDENTIALS.fullmatch(call.path)}
    assert refusals <= {401, 404, 405, 429}, refusals
