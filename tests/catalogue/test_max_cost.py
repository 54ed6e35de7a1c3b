"""A price that nobody knows, and the most that a request may cost."""

from redis.asyncio import Redis

from image2model.store.keys import key
from tests.catalogue.conftest import Listing
from tests.support.catalogue import ListedFal
from tests.support.multipart_body import CONTENT_TYPE
from tests.support.served_api import MakeService, Service, batch

UNPRICED, PRICED = "fal-ai/by-the-second", "fal-ai/priced"


async def offered(make_service: MakeService, listing: Listing) -> Service:
    fal = ListedFal(UNPRICED, PRICED)
    del fal.prices_usd[UNPRICED]
    await listing(fal)
    return make_service(models="*")


async def reserved(redis: Redis, job_id: str) -> set[bytes | None]:
    """Micro-dollars set aside for each image."""
    ids = (await redis.hget(key("job", job_id), "image_ids") or b"").decode().split()
    return {await redis.hget(key("image", one), "unit_micro") for one in ids}


async def test_unknown_price_is_refused_without_a_limit(make_service: MakeService, listing: Listing) -> None:
    service = await offered(make_service, listing)
    refused = service.upload(batch(2, model=UNPRICED))
    assert (refused.status, refused.code) == (402, "price_unknown")
    assert "max_cost_usd" in refused.text("detail")
    assert service.stored() == []


async def test_limit_is_set_aside_in_equal_shares(
    make_service: MakeService, listing: Listing, redis: Redis
) -> None:
    service = await offered(make_service, listing)
    accepted = service.upload(batch(3, model=UNPRICED, max_cost_usd="1"))
    assert accepted.status == 202
    assert await reserved(redis, accepted.text("job_id")) == {b"333333"}
    assert accepted.body["estimated_cost_usd"] is None


async def test_known_price_is_set_aside_and_refused_above_the_limit(
    make_service: MakeService, listing: Listing, redis: Redis
) -> None:
    service = await offered(make_service, listing)
    accepted = service.upload(batch(2, model=PRICED, max_cost_usd="0.5"))
    assert await reserved(redis, accepted.text("job_id")) == {b"250000"}
    refused = service.upload(batch(3, model=PRICED, max_cost_usd="0.5"))
    assert (refused.status, refused.code) == (402, "budget_exceeded")
    assert "$0.75" in refused.text("detail")


async def test_limit_must_be_dollars(make_service: MakeService, listing: Listing) -> None:
    service = await offered(make_service, listing)
    for wrong in ("0", "-1", "1e3", "many", "0.0000001", "1" * 9):
        assert service.upload(batch(model=PRICED, max_cost_usd=wrong)).code == "invalid_parameter", wrong


async def test_same_key_with_another_limit_is_the_same_request(
    make_service: MakeService, listing: Listing
) -> None:
    service = await offered(make_service, listing)
    first = service.upload(batch(model=PRICED, max_cost_usd="1"), idempotency_key="k")
    again = service.upload(batch(model=PRICED, max_cost_usd="2"), idempotency_key="k")
    assert (again.status, again.text("job_id")) == (202, first.text("job_id"))


async def test_quote_says_what_an_upload_would(make_service: MakeService, listing: Listing) -> None:
    service = await offered(make_service, listing)

    def quote(**fields: str) -> dict[str, object]:
        return service.post("quote", bytes(batch(2, **fields)), content_type=CONTENT_TYPE).body

    unknown = quote(model=UNPRICED)
    assert (unknown["accepted"], unknown["total_cost_usd"], unknown["price_source"]) == (False, None, None)
    assert unknown["refusal"]["code"] == "price_unknown"  # type: ignore[index]
    limited = quote(model=UNPRICED, max_cost_usd="2")
    assert (limited["accepted"], limited["refusal"], limited["max_cost_usd"]) == (True, None, 2.0)
    priced = quote(model=PRICED)
    assert (priced["accepted"], priced["total_cost_usd"], priced["price_source"]) == (True, 0.5, "fal")
    assert quote(model=PRICED, max_cost_usd="0.3")["refusal"]["code"] == "budget_exceeded"  # type: ignore[index]
