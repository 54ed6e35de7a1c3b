"""Endpoints that remove backgrounds: known by id, never among the models, kept by every reading of FAL."""

import json

import msgspec
import pytest
from redis.asyncio import Redis

from image2model.access.principal import Principal
from image2model.catalogue import offer, stored
from image2model.catalogue.documents import EncodedModels
from image2model.catalogue.live import LiveCatalogue
from image2model.catalogue.stored import CatalogueCopy
from image2model.errors import Forbidden, InvalidParameter, UnknownModel
from image2model.fal.endpoints import DEFAULT_MODEL, DEFAULT_REMOVER, Catalogue, Endpoint, EndpointSchema
from image2model.fal.files import files_of
from image2model.store.keys import key
from tests.support.catalogue import ListedFal, document, refresh

BUILT_IN = Catalogue.built_in()
BIREFNET = "fal-ai/birefnet/v2"
ANYBODY = Principal(owner="o", role="user")


def listed(catalogue: Catalogue) -> set[str]:
    """What `GET /models` shows where the service offers everything."""
    answer = EncodedModels(catalogue, ("*",)).listing(catalogue, ())
    return {one["id"] for one in json.loads(answer.body)["models"]}


def test_they_are_found_by_id_and_are_no_models() -> None:
    remover = BUILT_IN.find(DEFAULT_REMOVER)
    assert remover.removes_background
    assert [one.id for one in BUILT_IN.removers] == [DEFAULT_REMOVER, "fal-ai/birefnet", BIREFNET]
    assert not BUILT_IN.find(DEFAULT_MODEL).removes_background
    assert remover.schema.category == "image-to-image"
    shown = listed(BUILT_IN)
    assert DEFAULT_MODEL in shown
    assert not shown & {one.id for one in BUILT_IN.removers}
    assert EncodedModels(BUILT_IN, ("*",)).one(DEFAULT_REMOVER) is None


def test_only_a_price_that_a_page_states_is_known() -> None:
    assert [one.price({}) for one in BUILT_IN.removers] == [18_000, None, None]
    assert [one.reservation({}) for one in BUILT_IN.removers] == [18_000, 0, 0]


def test_the_cut_out_is_no_model_whatever_it_is_called() -> None:
    output = {"mask_image": {"url": "https://fal.media/m"}, "image": {"url": "https://fal.media/files/a/b"}}
    found = {file.kind: file for file in files_of(BUILT_IN.find(BIREFNET), output)}
    assert set(found) == {"cutout", "mask-image"}
    assert found["cutout"].url == "https://fal.media/files/a/b"


@pytest.mark.parametrize("model", [one.id for one in BUILT_IN.removers])
def test_an_upload_cannot_name_one_as_its_model(model: str) -> None:
    with pytest.raises(InvalidParameter, match="makes no model"):
        offer.require(BUILT_IN.find(model), ("*",), ANYBODY)


def test_each_refusal_of_a_remover_says_what_to_do() -> None:
    remover = BUILT_IN.find(DEFAULT_REMOVER)
    offer.require_remover(remover, (), ANYBODY)
    offer.require_remover(BUILT_IN.find(BIREFNET), ("*",), ANYBODY)
    with pytest.raises(InvalidParameter, match=DEFAULT_REMOVER):
        offer.require_remover(BUILT_IN.find(DEFAULT_MODEL), (), ANYBODY)
    with pytest.raises(UnknownModel, match="I2M_MODELS"):
        offer.require_remover(BUILT_IN.find(BIREFNET), (), ANYBODY)  # nobody knows its price
    with pytest.raises(UnknownModel, match="I2M_MODELS"):
        offer.require_remover(remover, ("tripo3d/*",), ANYBODY)
    with pytest.raises(Forbidden, match="tripo3d"):
        offer.require_remover(remover, (), Principal(owner="o", role="user", models=("tripo3d/*",)))
    retired = Endpoint(msgspec.structs.replace(remover.schema, retired_at=1), remover.row)
    with pytest.raises(UnknownModel, match="no longer lists"):
        offer.require_remover(retired, (), ANYBODY)


def test_a_name_that_is_nearly_one_gets_models_as_advice() -> None:
    with pytest.raises(UnknownModel) as caught:
        BUILT_IN.find("fal-ai/birefnet/v3")
    assert "birefnet/v2" not in caught.value.detail


async def test_reading_asks_fal_for_them_by_name(redis: Redis) -> None:
    fal, live = ListedFal("fal-ai/a", DEFAULT_REMOVER), LiveCatalogue(redis)
    fal.listed_only = {"fal-ai/a"}  # it is of another category
    fal.models[DEFAULT_REMOVER] = document("sync_mode")
    fal.prices_usd[DEFAULT_REMOVER] = 0.02
    await refresh(redis, fal, live)
    found = await live.find(DEFAULT_REMOVER)
    assert (found.schema.source, found.price({}), found.removes_background) == ("fal", 20_000, True)
    assert (await live.find(BIREFNET)).schema.retired_at is not None  # FAL does not have it here
    assert DEFAULT_REMOVER not in listed(live.current)


async def test_a_retired_one_is_never_forgotten(redis: Redis) -> None:
    fal, live = ListedFal("fal-ai/a", "fal-ai/b"), LiveCatalogue(redis)
    await refresh(redis, fal, live)
    _, body = await stored.read(redis)
    copy = stored.decode(body)
    old = tuple(
        one if one.retired_at is None else msgspec.structs.replace(one, retired_at=1) for one in copy.schemas
    )
    version, body = stored.encode(CatalogueCopy(schemas=old, prices=copy.prices))
    await redis.hset(key("catalogue"), mapping={"version": version, "body": body})
    assert await refresh(redis, fal, live)
    known = {one.schema.id for one in live.current.endpoints.values()}
    assert known == {"fal-ai/a", "fal-ai/b", *(one.id for one in BUILT_IN.removers)}
    assert {one.schema.retired_at for one in live.current.removers} == {1}


async def test_a_copy_of_an_earlier_release_lacks_none(redis: Redis) -> None:
    only = EndpointSchema(id="fal-ai/a", title="A", source="fal")
    version, body = stored.encode(CatalogueCopy(schemas=(only,), prices={}))
    await redis.hset(key("catalogue"), mapping={"version": version, "body": body, "updated_at": "1"})
    await redis.expire(key("catalogue"), 60)
    assert (await LiveCatalogue(redis).find(DEFAULT_REMOVER)).price({}) == 18_000
