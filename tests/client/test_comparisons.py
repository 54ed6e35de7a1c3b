"""Comparisons and second steps by the client, with the real service and its emulator."""

from zlib import crc32

import pytest

from image2model.client import ApiError, Client, Complete, Image, Job, Object, Picture
from tests.support.sketches import picture
from tests.support.up_process import Running, running

__all__ = ["running"]

TRIPO = "tripo3d/tripo/v2.5/image-to-3d"
RETEXTURE = "fal-ai/meshy/v5/retexture"


def _pictures(*names: str) -> list[Picture]:
    return [Picture.from_bytes(f"{name}.png", picture(seed=crc32(name.encode()) % 1000)) for name in names]


def _ended(client: Client, job: Job) -> Job:
    (last,) = [event for event in client.events(job.job_id) if isinstance(event, Complete)]
    return last.job


def test_several_models_are_one_decision_and_a_job_for_each(running: Running) -> None:
    with Client(running.url) as client:
        models = [one.id for one in client.models().models if one.available and one.price_usd][:3]
        pictures = _pictures("one", "two")
        quote = client.quote_comparison(pictures, models, variants=4)
        assert quote.accepted
        assert [one.model for one in quote.quotes] == models
        assert [one.variants for one in quote.quotes] == [4, 4, 4]
        first = client.compare(pictures, models, variants=4, idempotency_key="24-models")
        again = client.compare(pictures, models, variants=4, idempotency_key="24-models")
        assert (again.comparison_id, [job.model for job in again.jobs]) == (first.comparison_id, models)
        listed = client.jobs(comparison=first.comparison_id).jobs
        assert sorted(job.job_id for job in listed) == sorted(job.job_id for job in first.jobs)
        ended = [_ended(client, job) for job in first.jobs]
        images = [image for job in ended for image in job.images]
        assert [image.status for image in images] == ["succeeded"] * 24
        assert [image.variant for image in images[:4]] == [1, 2, 3, 4]
        assert quote.total_cost_usd == pytest.approx(sum(image.cost_usd or 0 for image in images))


def test_one_model_is_no_comparison(running: Running) -> None:
    with Client(running.url) as client:
        with pytest.raises(ValueError, match="use submit for one"):
            client.compare(_pictures("a"), [TRIPO])
        with pytest.raises(ValueError, match="use quote for one"):
            client.quote_comparison(_pictures("a"), [TRIPO])
        with pytest.raises(ApiError, match="twice"):
            client.compare(_pictures("a"), [TRIPO, TRIPO])


def test_second_step_with_a_picture_of_its_own(running: Running) -> None:
    with Client(running.url) as client:
        parent = _ended(client, client.submit(_pictures("parent")))
        (image,) = parent.images
        options = {"model": RETEXTURE, "max_cost_usd": 3.0, "idempotency_key": "once"}
        style = Picture.from_bytes("style.png", picture(seed=77))
        job = client.derive(parent.job_id, image.image_id, picture=style, **options)
        assert client.derive(parent.job_id, image.image_id, picture=style, **options).job_id == job.job_id
        child: Image = _ended(client, job).images[0]
        assert (child.status, child.parent_image_id, child.parent_job_id) == (
            "succeeded",
            image.image_id,
            parent.job_id,
        )
        with pytest.raises(ApiError) as caught:
            client.derive(parent.job_id, image.image_id, model=TRIPO)
        assert caught.value.status == 422
        with pytest.raises(ApiError) as caught:
            client.confirm(parent.job_id, image.image_id)
        assert caught.value.code == "not_ready"


def test_views_are_prepared_and_wait_for_their_confirmation(running: Running) -> None:
    with Client(running.url) as client:
        job = client.submit(
            [Object("chair", _pictures("front"))],
            remove_background=True,
            crop=True,
            pad_square=True,
            confirm_prepared=True,
        )
        for event in client.events(job.job_id):
            image = getattr(event, "image", None)
            if image is not None and image.waiting_for == "confirmation":
                break
        assert image is not None
        assert client.confirm(job.job_id, image.image_id).job_id == job.job_id
        (done,) = _ended(client, job).images
        assert done.preparation is not None
        assert done.status == "succeeded"
        assert [file.kind for file in done.preparation.files] == ["prepared"]
        assert done.cost_usd is not None
        assert 0 < done.preparation.cost_usd < done.cost_usd
