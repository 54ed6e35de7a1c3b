"""How faults are asked for: on the command line, by the control route, for one endpoint, for one request."""

import pytest

from fal_emulator.fault_rules import FaultRule, parse_faults, read_rule
from fal_emulator.faults import Fault
from tests.support.emulator import TRIPO, RunningEmulator

ANY = {"image_url": "data:,x"}
TRELLIS = "fal-ai/trellis"


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("hang", FaultRule(Fault.HANG, rate=1)),
        ("hang=0.25", FaultRule(Fault.HANG, rate=0.25)),
        ("endpoint_403@fal-ai/trellis", FaultRule(Fault.ENDPOINT_403, rate=1, endpoint=TRELLIS)),
        ("endpoint_403=0.5@fal-ai/trellis", FaultRule(Fault.ENDPOINT_403, rate=0.5, endpoint=TRELLIS)),
        ("endpoint_down=result", FaultRule(Fault.ENDPOINT_DOWN, rate=1, value="result")),
        ("endpoint_down=post:0.5", FaultRule(Fault.ENDPOINT_DOWN, rate=0.5, value="post")),
        ("billable_units=2.5", FaultRule(Fault.BILLABLE_UNITS, rate=1, value=2.5)),
        ("billable_units=none:0.1", FaultRule(Fault.BILLABLE_UNITS, rate=0.1, value="none")),
        ("status_404", FaultRule(Fault.STATUS_404, rate=1, value=5.0)),
        ("file_slow=all:0.5@fal-ai/trellis", FaultRule(Fault.FILE_SLOW, 0.5, None, "all", TRELLIS)),
    ],
)
def test_rules_of_the_command_line(text: str, rule: FaultRule) -> None:
    assert read_rule(text) == rule


@pytest.mark.parametrize(
    "text", ["nonsense", "hang=", "hang=often", "hang=2", "billable_units", "file_slow=3", "hang@nowhere"]
)
def test_wrong_rules_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        read_rule(text)


def test_faults_of_one_request() -> None:
    assert parse_faults("hang+billable_units=3+") == {Fault.HANG: None, Fault.BILLABLE_UNITS: 3.0}
    with pytest.raises(ValueError, match="the kinds are"):
        parse_faults("hang+nonsense")


async def test_a_fault_of_one_endpoint_leaves_the_others_alone(emulator: RunningEmulator) -> None:
    await emulator.fault("endpoint_403", rate=1, endpoint=TRELLIS)
    codes = {model: (await emulator.submit(ANY, model)).status_code for model in (TRELLIS, TRIPO)}

    assert codes == {TRELLIS: 403, TRIPO: 200}


async def test_a_count_is_used_up_by_its_own_endpoint_only(emulator: RunningEmulator) -> None:
    await emulator.fault("429", count=1, endpoint=TRELLIS)
    codes = [(await emulator.submit(ANY, model)).status_code for model in (TRIPO, TRELLIS, TRELLIS)]

    assert codes == [200, 429, 200]


async def test_rules_in_force_are_shown_and_cleared(emulator: RunningEmulator) -> None:
    await emulator.fault("endpoint_down", rate=1, value="result", endpoint=TRELLIS)
    await emulator.fault("endpoint_down", rate=0.5, value="post", endpoint=TRELLIS)
    shown = (await emulator.http.get("/_emulator/faults")).json()["faults"]
    cleared = (await emulator.http.delete("/_emulator/faults")).json()["faults"]

    assert shown == [{"kind": "endpoint_down", "rate": 0.5, "value": "post", "endpoint": TRELLIS}]
    assert cleared == []


async def test_a_request_asks_for_a_fault_with_its_value(emulator: RunningEmulator) -> None:
    refused = await emulator.submit(ANY, x_emulator_fault="endpoint_down=post+billable_units=3")
    wrong = await emulator.submit(ANY, x_emulator_fault="billable_units=x")

    assert (refused.status_code, wrong.status_code) == (503, 400)


async def test_upload_tokens_fail_alone_or_with_the_older_way(emulator: RunningEmulator) -> None:
    routes = ("/storage/auth/token", "/storage/upload/initiate")
    codes = {}
    for value in ("token", "all"):
        await emulator.fault("upload_token_500", rate=1, value=value)
        codes[value] = [(await emulator.http.post(route)).status_code for route in routes]

    assert codes == {"token": [500, 200], "all": [500, 500]}
