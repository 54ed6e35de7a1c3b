"""Pictures whose background is removed before their model runs: each request is paid once."""

import io

import pytest
from PIL import Image

from image2model.access.accounts import Allowance
from image2model.access.keys import Budget
from image2model.domain import Counts, Preparation, WaitingFor
from image2model.jobs import records
from image2model.store.keys import key
from tests.support.altered_fal import AlteredFal, after, cut, whole
from tests.support.fleet import MODEL, Fleet, failed_codes
from tests.support.privacy import ADMIN_KEY
from tests.support.sketches import picture
from tests.support.wait import until

REMOVER = "fal-ai/bria/background/remove"
SIDES_MODEL = "tripo3d/tripo/v2.5/multiview-to-3d"
CUT = Preparation(remove_background=REMOVER)


def bought(fleet: Fleet) -> list[str]:
    """The endpoints of what FAL accepted, in order."""
    return [entry["endpoint"] for entry in fleet.emulator.submissions()]


async def reserved(fleet: Fleet) -> int:
    """Micro-dollars that are set aside for what is under way."""
    return int(await fleet.redis.hget(key("account", "ann"), "reserved") or 0)


async def test_model_is_made_of_the_picture_without_its_background(fleet: Fleet) -> None:
    fleet.start_worker()
    job = await fleet.until_finished(await fleet.submit(preparation=CUT, unit_micro=300_000))
    assert job.counts == Counts(succeeded=1)
    assert bought(fleet) == [REMOVER, MODEL]
    (image,) = job.images
    assert image.preparation is not None
    (file,) = image.preparation.files
    with Image.open(io.BytesIO(await fleet.storage.get(file.key))) as sent:
        assert (sent.mode, sent.size) == ("RGBA", (48, 32))
        assert sent.getextrema()[3] == (0, 255)
    assert image.cost_micro == job.job.cost_micro == 318_000
    assert image.preparation.cost_micro == 18_000


@pytest.mark.long
async def test_each_view_is_cut_out_by_a_request_of_its_own(fleet: Fleet) -> None:
    fleet.start_worker()
    job_id = await fleet.submit(
        preparation=CUT, views=3, model=SIDES_MODEL, unit_micro=400_000, cutout_micro=18_000
    )
    job = await fleet.until_finished(job_id)
    assert job.counts == Counts(succeeded=1)
    assert bought(fleet) == [REMOVER] * 3 + [SIDES_MODEL]
    assert len({one["input"]["image_url"] for one in fleet.emulator.submissions()[:3]}) == 3
    (image,) = job.images
    assert image.preparation is not None
    assert len(image.preparation.files) == 3
    assert image.preparation.cost_micro == 54_000
    assert image.cost_micro == 54_000 + 300_000


async def test_equal_pictures_are_cut_out_once(fleet: Fleet) -> None:
    fleet.start_worker()
    same = [picture(7, (48, 32))] * 2
    first = await fleet.submit(pictures=same, preparation=CUT, reuse=True)
    other = await fleet.submit(pictures=same, preparation=CUT, reuse=True, texture="HD")
    done = [await fleet.until_finished(job_id) for job_id in (first, other)]
    assert [job.counts for job in done] == [Counts(succeeded=2)] * 2
    assert sorted(bought(fleet)) == [REMOVER, MODEL, MODEL]
    cutouts = [image.preparation.cutouts for job in done for image in job.images if image.preparation]
    assert sum(bool(one.request_id) for each in cutouts for one in each) == 1
    for each in cutouts:  # each owns its file, so that the others' jobs can be deleted
        assert await fleet.storage.get(each[0].key)


@pytest.mark.long
async def test_model_that_exists_needs_no_cutout(fleet: Fleet) -> None:
    fleet.start_worker()
    same = [picture(7, (48, 32))]
    await fleet.until_finished(await fleet.submit(pictures=same, preparation=CUT, reuse=True))
    await fleet.redis.delete(*[name async for name in fleet.redis.scan_iter(key("cutout", "*"))])
    again = await fleet.until_finished(await fleet.submit(pictures=same, preparation=CUT, reuse=True))
    assert (again.images[0].cached, again.job.cost_micro) == (True, 0)
    assert bought(fleet) == [REMOVER, MODEL]


@pytest.mark.long
async def test_cutout_of_a_deleted_job_is_bought_anew(fleet: Fleet) -> None:
    fleet.start_worker()
    same = [picture(7, (48, 32))]
    job = await fleet.until_finished(await fleet.submit(pictures=same, preparation=CUT, reuse=True))
    assert job.images[0].preparation is not None
    await fleet.storage.delete([job.images[0].preparation.cutouts[0].key])
    again = await fleet.until_finished(
        await fleet.submit(pictures=same, preparation=CUT, reuse=True, texture="HD")
    )
    assert again.counts == Counts(succeeded=1)
    assert bought(fleet) == [REMOVER, MODEL, REMOVER, MODEL]


@pytest.mark.long
async def test_failed_attempt_at_a_cutout_is_followed_by_another(fleet: Fleet) -> None:
    fleet.emulator.fault("500", count=1, endpoint=REMOVER)
    fleet.start_worker()
    job = await fleet.until_finished(await fleet.submit(preparation=CUT, unit_micro=300_000))
    assert job.counts == Counts(succeeded=1)
    assert bought(fleet) == [REMOVER, REMOVER, MODEL]


async def test_refused_picture_fails_before_its_model(fleet: Fleet) -> None:
    fleet.emulator.fault("422", count=1, endpoint=REMOVER)
    fleet.start_worker()
    job_id = await fleet.submit(preparation=CUT, unit_micro=300_000, cutout_micro=18_000)
    job = await fleet.until_finished(job_id)
    assert failed_codes(job) == ["rejected_by_model"]
    assert bought(fleet) == [REMOVER]
    await records.retry(fleet.redis, job_id, None, None, low_priority=False)
    job = await fleet.until_finished(job_id)
    assert job.counts == Counts(succeeded=1)
    assert bought(fleet) == [REMOVER, REMOVER, MODEL]


@pytest.mark.long
async def test_cutout_is_kept_when_the_model_fails(fleet: Fleet) -> None:
    fleet.emulator.fault("422", count=1, endpoint=MODEL)
    fleet.start_worker()
    job_id = await fleet.submit(preparation=CUT, unit_micro=300_000, cutout_micro=18_000)
    job = await fleet.until_finished(job_id)
    assert failed_codes(job) == ["rejected_by_model"]
    await records.retry(fleet.redis, job_id, None, {"texture": "HD"}, low_priority=False)
    job = await fleet.until_finished(job_id)
    assert job.counts == Counts(succeeded=1)
    assert bought(fleet) == [REMOVER, MODEL, MODEL]


@pytest.mark.long
async def test_cutout_that_is_cancelled_ends_the_image(fleet: Fleet) -> None:
    fleet.emulator.settings(latency=3)
    fleet.emulator.fault("cancel_ignored", rate=1)
    fleet.start_worker()
    job_id = await fleet.submit(preparation=CUT, unit_micro=300_000, cutout_micro=18_000)
    await fleet.until(job_id, lambda job: job.counts.generating == 1)
    await records.cancel(fleet.redis, job_id)
    job = await fleet.until_finished(job_id)
    assert job.counts == Counts(cancelled=1)
    assert bought(fleet) == [REMOVER]
    assert job.job.cost_micro == 18_000  # FAL has made it, and bills it
    assert await reserved(fleet) == 0


@pytest.mark.long
async def test_budget_that_ends_in_the_middle_keeps_the_cutout(fleet: Fleet) -> None:
    """The cut-out was thought to cost less than FAL takes for it."""
    allowance = Allowance(key="", max_queued=100, budget=Budget(301_000, "total"))
    fleet.start_worker()
    job_id = await fleet.submit(preparation=CUT, unit_micro=300_000, cutout_micro=1_000, allowance=allowance)
    job = await fleet.until_finished(job_id)
    assert failed_codes(job) == ["budget_exceeded"]
    assert (bought(fleet), job.job.cost_micro, await reserved(fleet)) == ([REMOVER], 18_000, 0)
    more = Allowance(key="", max_queued=100, budget=Budget(318_000, "total"))
    await records.retry(fleet.redis, job_id, None, None, low_priority=False, allowance=more)
    job = await fleet.until_finished(job_id)
    assert job.counts == Counts(succeeded=1)
    assert (bought(fleet), job.job.cost_micro, await reserved(fleet)) == ([REMOVER, MODEL], 318_000, 0)


@pytest.mark.long
async def test_what_was_set_aside_too_much_for_a_cutout_is_released_with_it(fleet: Fleet) -> None:
    fleet.emulator.settings(latency=2)
    fleet.start_worker()
    job_id = await fleet.submit(preparation=CUT, unit_micro=300_000, cutout_micro=50_000)
    assert await reserved(fleet) == 350_000
    await fleet.until(job_id, lambda _: len(bought(fleet)) == 2)
    assert await reserved(fleet) == 300_000


@pytest.mark.long
async def test_requests_of_all_phases_are_deleted_at_fal(fleet: Fleet) -> None:
    fleet.start_worker(I2M_FAL_PRIVACY="private", I2M_FAL_ADMIN_KEY=ADMIN_KEY)
    job = await fleet.until_finished(await fleet.submit(preparation=CUT))
    assert job.counts == Counts(succeeded=1)
    ids = {entry["request_id"] for entry in fleet.emulator.submissions()}
    assert len(ids) == 2

    async def all_deleted() -> bool:
        return int(await fleet.redis.hget(key("fal_deletion_state"), "done") or 0) == 2

    await until(all_deleted)


@pytest.mark.long
async def test_endpoint_that_fails_holds_up_only_what_needs_it(fleet: Fleet) -> None:
    """The remover's circuit is the remover's: pictures that need none go on."""
    fleet.emulator.fault("endpoint_403", rate=1, endpoint=REMOVER)
    fleet.start_worker()
    waiting = await fleet.submit(preparation=CUT)
    await fleet.until(waiting, lambda job: job.job.waiting_for is WaitingFor.ENDPOINT)
    assert (await fleet.until_finished(await fleet.submit())).counts == Counts(succeeded=1)
    assert bought(fleet) == [MODEL]


@pytest.mark.long
async def test_background_is_gone_before_the_picture_is_cropped_and_padded(fleet: Fleet) -> None:
    """By pixels: a rectangle of 20 by 10 on white becomes a square of 20 with nothing above and below it."""
    drawn = Image.new("RGB", (60, 40), "white")
    drawn.paste((200, 0, 0), (10, 10, 30, 20))
    out = io.BytesIO()
    drawn.save(out, "PNG")
    fleet.start_worker()
    wanted = Preparation(remove_background=REMOVER, crop=True, pad_square=True)
    job = await fleet.until_finished(await fleet.submit(pictures=[out.getvalue()], preparation=wanted))
    (image,) = job.images
    assert image.preparation is not None
    (file,) = image.preparation.files
    with Image.open(io.BytesIO(await fleet.storage.get(file.key))) as sent:
        assert (sent.mode, sent.size, file.width, file.height) == ("RGBA", (20, 20), 20, 20)
        assert sent.getpixel((10, 10)) == (200, 0, 0, 255)
        assert [sent.getchannel("A").getpixel((10, y)) for y in (0, 4, 5, 14, 15, 19)] == [
            0,
            0,
            255,
            255,
            0,
            0,
        ]
    posted = fleet.emulator.submissions()[1]["input"]["image_url"]
    assert fleet.emulator.http.get(posted).content == await fleet.storage.get(file.key)


@pytest.mark.long
@pytest.mark.parametrize(
    ("fault", "code"),
    [
        ("model_truncated", "result_invalid"),
        ("file_html", "result_invalid"),
        ("model_missing", "result_expired"),
    ],
)
async def test_cutout_that_cannot_be_had_fails_before_the_model_is_bought(
    fleet: Fleet, fault: str, code: str
) -> None:
    fleet.emulator.fault(fault, rate=1, endpoint=REMOVER)
    fleet.start_worker(I2M_UNCONFIRMED_GRACE="1")
    job = await fleet.until_finished(await fleet.submit(preparation=CUT), timeout=60)
    assert failed_codes(job) == [code]
    assert (bought(fleet), job.job.cost_micro) == ([REMOVER], 18_000)


@pytest.mark.long
async def test_cutout_comes_although_its_host_answers_with_an_error_first(
    fleet: Fleet, fal: AlteredFal
) -> None:
    """A page in place of the picture, then half of it: the same request is asked again, and paid once."""
    good = picture(3, (48, 32))
    page = whole(b"<html>busy</html>", "text/html")
    url = fal.serve("cut.png", after(1, page, after(1, cut(good, 900), whole(good, "image/png"))))

    def with_our_file(found: object) -> object:
        return {"image": {"url": url}} if isinstance(found, dict) and "image" in found else found

    fal.result = with_our_file
    fleet.start_worker(I2M_FAL_BASE_URL=fal.url)
    job = await fleet.until_finished(await fleet.submit(preparation=CUT), timeout=60)
    assert job.counts == Counts(succeeded=1)
    assert bought(fleet) == [REMOVER, MODEL]
    assert fal.fetched("cut.png") == 3
