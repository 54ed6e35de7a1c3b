"""`GET /models`: what a caller may use, from memory, without waiting for FAL."""

import time
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from jsonschema import Draft202012Validator
from redis.asyncio import Redis

from image2model.catalogue.documents import ModelDocument
from image2model.store.keys import key
from tests.catalogue.conftest import Listing
from tests.support.callers import Caller
from tests.support.catalogue import ListedFal, document
from tests.support.served_api import Answer, MakeService, Service, batch
from tests.support.wait import until

DEFAULT = "tripo3d/tripo/v2.5/image-to-3d"
MINE = ("fal-ai/a", "fal-ai/b", DEFAULT)


def models(answer: Answer) -> dict[str, dict[str, Any]]:
    return {model["id"]: model for model in answer.items("models")}


async def shows(service: Service, wanted: Callable[[Answer], bool]) -> Answer:
    """The list, once a process has heard of the change."""
    found: list[Answer] = []

    async def right() -> bool:
        found[:] = [service.get("models")]
        return wanted(found[0])

    await until(right)
    return found[0]


def test_built_in_models_are_told_without_fal(service: Service) -> None:
    answer = service.get("models")
    assert (answer.status, answer.body["pricing"], answer.body["default"]) == (200, "table", DEFAULT)
    assert (answer.body["source"], answer.body["updated_at"]) == ("built-in", None)
    default = models(answer)[DEFAULT]
    assert answer.items("models")[0] == default
    assert (default["default"], default["price_usd"], default["fal"]) == (True, 0.3, None)
    assert default["price"]["source"] == "table"
    assert default["available"]
    assert [(one["name"], one["role"]) for one in default["inputs"]] == [("image_url", "picture")]
    assert "model_mesh" in {one["name"] for one in default["outputs"]}
    schema = Draft202012Validator(default["params"])
    assert schema.is_valid({"texture": "HD", "face_limit": 1000})
    assert not schema.is_valid({"texture": "gold"})
    for model in models(answer).values():
        Draft202012Validator.check_schema(model["params"])
        assert model["price"] or "a unit" in model["price_note"]
        assert model["available"] is (model["needs"] is None)


async def test_fal_s_own_list_replaces_it_within_moments(service: Service, listing: Listing) -> None:
    service.get("models")
    await listing(ListedFal(*MINE))
    answer = await shows(service, lambda found: found.body["source"] == "fal")
    assert set(models(answer)) == set(MINE)
    assert answer.body["pricing"] == "fal"
    assert answer.body["updated_at"]
    model = models(answer)["fal-ai/a"]
    assert model["fal"] == {
        "name": "Fal-Ai/A",
        "category": "image-to-3d",
        "description": model["description"],
        "status": "active",
        "price": {"unit_price": 0.25, "unit": "requests", "currency": "USD"},
    }
    assert model["price"] == {"usd": 0.25, "unit": "model", "note": model["price_note"], "source": "fal"}


async def test_list_is_not_sent_again_while_it_is_the_same(service: Service, listing: Listing) -> None:
    fal = ListedFal(*MINE)
    await listing(fal)
    answer = await shows(service, lambda found: found.body["source"] == "fal")
    etag = answer.headers["etag"]
    assert service.get("models", if_none_match=etag).status == 304
    await listing(fal)
    assert service.get("models", if_none_match=etag).status == 304
    fal.models["fal-ai/new"] = document()
    fal.prices_usd["fal-ai/new"] = 1.0
    await listing(fal)
    assert "fal-ai/new" in models(await shows(service, lambda found: found.headers["etag"] != etag))


async def test_one_model_by_its_id_with_slashes(service: Service, listing: Listing) -> None:
    await listing(ListedFal(*MINE))
    await shows(service, lambda found: found.body["source"] == "fal")
    answer = service.get("models/fal-ai/a")
    assert msgspec.json.decode(answer.content, type=ModelDocument).id == "fal-ai/a"
    missing = service.get("models/fal-ai/trellis")
    assert (missing.status, missing.code) == (404, "not_found")


async def test_list_of_a_process_that_starts_later_is_fal_s_at_once(
    make_service: MakeService, listing: Listing
) -> None:
    await listing(ListedFal(*MINE))
    assert make_service().get("models").body["source"] == "fal"


@pytest.mark.long
async def test_patterns_hide_and_keys_are_limited(make_keyed_service: MakeService, listing: Listing) -> None:
    await listing(ListedFal(*MINE))
    service = make_keyed_service(models="*,!fal-ai/b")
    admin = Caller(service, "the-first-admin-key-of-the-settings")
    assert set(models(admin.get("models"))) == {"fal-ai/a", DEFAULT}
    body = msgspec.json.encode({"name": "shop", "models": ["fal-ai/*"]})
    made = admin.post("admin/keys", body)
    assert made.body["models"] == ["fal-ai/*"]
    shop = Caller(service, made.text("key"))
    assert set(models(shop.get("models"))) == {"fal-ai/a"}
    assert shop.get(f"models/{DEFAULT}").status == 404
    assert shop.get("models").headers["etag"] != admin.get("models").headers["etag"]
    hidden = shop.upload(batch(model="fal-ai/b"))
    assert (hidden.status, hidden.code) == (422, "unknown_model")
    assert "I2M_MODELS" in hidden.text("detail")
    forbidden = shop.upload(batch(model=DEFAULT))
    assert (forbidden.status, forbidden.code) == (403, "forbidden")
    assert "only fal-ai/*" in forbidden.text("detail")
    assert shop.upload(batch(model="fal-ai/a")).status == 202


@pytest.mark.long
async def test_list_of_five_hundred_is_answered_from_memory(service: Service, listing: Listing) -> None:
    fal = ListedFal(*(f"fal-ai/{number}" for number in range(500)))
    await listing(fal)
    await shows(service, lambda found: len(found.items("models")) == 500)
    took = []
    for _ in range(20):
        began = time.perf_counter()
        service.get("models")
        took.append(time.perf_counter() - began)
    assert min(took) < 0.05  # the row of `make bench` measures it on its own


async def test_refresh_is_asked_for_by_an_admin_only(make_keyed_service: MakeService, redis: Redis) -> None:
    service = make_keyed_service()
    admin = Caller(service, "the-first-admin-key-of-the-settings")
    made = admin.post("admin/keys", msgspec.json.encode({"name": "shop"}))
    assert Caller(service, made.text("key")).post("admin/models/refresh").code == "forbidden"
    assert admin.post("admin/models/refresh").status == 202
    assert await redis.hget(key("catalogue"), "requested_at")
