"""The paid POST against the emulator: whatever goes wrong, its ledger holds what was paid for."""

import asyncio

import pytest

from image2model.errors import FalAccountFault, FalAmbiguous, FalEndpointFault, FalError, FalNotAccepted
from image2model.fal.endpoints import DEFAULT_MODEL
from image2model.fal.errors import FalThrottled
from image2model.fal.gateway import FalGateway
from tests.fal.buyer import Buyer
from tests.support.emulator_process import EmulatorProcess


async def test_submit_is_one_paid_request_with_the_pictures_url_and_our_tags(
    buyer: Buyer, emulator: EmulatorProcess
) -> None:
    await buyer.upload()
    request = await buyer.submit(attempt="a1", image="i-1")
    [submission] = emulator.submissions()
    assert submission["request_id"] == request.request_id
    assert submission["endpoint"] == DEFAULT_MODEL
    assert submission["input"] == {"image_url": buyer.image_url}
    assert submission["tags"] == {"attempt": "a1", "image": "i-1"}
    assert buyer.marks == 1


async def test_status_urls_keep_only_owner_and_alias(buyer: Buyer, emulator: EmulatorProcess) -> None:
    await buyer.upload()
    request = await buyer.submit()
    assert request.status_url == f"{emulator.url}/tripo3d/tripo/requests/{request.request_id}/status"


@pytest.mark.parametrize("kind", ["drop_after_accept", "hang", "malformed"])
async def test_accepted_submit_whose_reply_is_lost_is_ambiguous_and_paid_once(
    kind: str, buyer: Buyer, emulator: EmulatorProcess
) -> None:
    await buyer.upload()
    emulator.fault(kind, rate=1)
    with pytest.raises(FalAmbiguous):
        await buyer.submit()
    assert len(emulator.submissions()) == 1
    assert buyer.marks == 1


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("nginx_502", FalAmbiguous),
        ("nginx_503", FalAmbiguous),
        ("429", FalNotAccepted),
        ("401", FalAccountFault),
        ("locked", FalAccountFault),
        ("endpoint_403", FalEndpointFault),
    ],
)
async def test_refused_submit_is_tried_once(
    kind: str, expected: type[FalError], buyer: Buyer, emulator: EmulatorProcess
) -> None:
    await buyer.upload()
    emulator.fault(kind, count=1)
    with pytest.raises(expected):
        await buyer.submit()
    assert emulator.submissions() == []
    # Another POST of the same call would have been accepted, the fault being used up by the first.
    await buyer.submit()
    assert len(emulator.submissions()) == 1


async def test_locked_account_is_told_apart_in_fals_own_words(
    buyer: Buyer, emulator: EmulatorProcess
) -> None:
    await buyer.upload()
    emulator.fault("locked", count=1)
    with pytest.raises(FalAccountFault, match="User is locked") as caught:
        await buyer.submit()
    assert (caught.value.status, caught.value.fal_type) == (403, "locked")


async def test_429_is_throttled(buyer: Buyer, emulator: EmulatorProcess) -> None:
    await buyer.upload()
    emulator.fault("429", count=1)
    with pytest.raises(FalThrottled) as caught:
        await buyer.submit()
    assert caught.value.status == 429


async def test_failing_mark_sends_nothing_and_comes_out_unchanged(
    fal: FalGateway, emulator: EmulatorProcess
) -> None:
    refusal = TimeoutError("the store is away")

    async def mark() -> None:
        raise refusal

    with pytest.raises(TimeoutError) as caught:
        await fal.submit(
            DEFAULT_MODEL, {"image_url": "https://x"}, tags={}, webhook_url=None, before_send=mark
        )
    assert caught.value is refusal
    assert caught.value.__context__ is None
    assert emulator.submissions() == []


async def test_gateway_submits_on_after_a_failing_mark(buyer: Buyer, emulator: EmulatorProcess) -> None:
    async def mark() -> None:
        raise ValueError("no")

    await buyer.upload()
    with pytest.raises(ValueError, match="no"):
        await buyer.fal.submit(
            DEFAULT_MODEL, {"image_url": "https://x"}, tags={}, webhook_url=None, before_send=mark
        )
    await buyer.submit()
    assert len(emulator.submissions()) == 1


async def test_many_submits_at_once_are_each_paid_once(buyer: Buyer, emulator: EmulatorProcess) -> None:
    await buyer.upload()
    requests = await asyncio.gather(*(buyer.submit(image=str(number)) for number in range(40)))
    assert len({request.request_id for request in requests}) == 40
    assert sorted(int(one["tags"]["image"]) for one in emulator.submissions()) == list(range(40))
