"""The whole list of the emulator, read as FAL's is: what comes of each kind of endpoint."""

import time

import pytest

from image2model.catalogue import reading
from image2model.catalogue.stored import CatalogueCopy
from image2model.fal.endpoints import DEFAULT_REMOVER, Catalogue, EndpointSchema, takes_model, takes_pictures
from image2model.fal.endpoints.builtin import built_in_schemas
from image2model.fal.gateway import FalGateway


@pytest.mark.parametrize("schemas", [(), built_in_schemas()], ids=["first", "with_a_copy"])
async def test_everything_that_is_known_is_read_and_nothing_is_retired(
    fal: FalGateway, schemas: tuple[EndpointSchema, ...]
) -> None:
    copy = await reading.read(fal, CatalogueCopy(schemas=schemas, prices={}), int(time.time() * 1000))
    live = Catalogue.of(copy.schemas, copy.prices, updated_at=1, version="v")
    built_in = Catalogue.built_in()

    assert not [one.id for one in live.endpoints.values() if one.schema.retired_at is not None]
    assert set(built_in.endpoints) <= set(live.endpoints)
    for model, known in built_in.endpoints.items():
        found = live.find(model)
        assert found.schema.source == "fal"
        assert takes_model(found) == takes_model(known), model
        assert takes_pictures(found) == takes_pictures(known), model
        if (takes_model(known) or known.removes_background) and known.price({}) is not None:
            assert found.price({}) == known.price({}), model
    assert [one.id for one in live.removers] == [one.id for one in built_in.removers]
    assert live.find(DEFAULT_REMOVER).price({}) == 18_000
    assert not [one for one in live.endpoints.values() if one.schema.category == "text-to-image"]
