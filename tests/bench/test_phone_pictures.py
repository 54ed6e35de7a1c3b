"""API and worker keep within their memory while pictures of 48 megapixels are uploaded and prepared."""

import asyncio

import pytest

from tests.bench.phone_pictures import API_MIB, FORMATS, WORKER_MIB, peaks


@pytest.mark.long
@pytest.mark.parametrize("name", FORMATS)
async def test_memory_is_bounded_by_pixels_not_by_pictures(name: str) -> None:
    data = await asyncio.to_thread(FORMATS[name])
    api, worker = await peaks(name, data, 4)
    assert api <= API_MIB
    assert worker <= WORKER_MIB
