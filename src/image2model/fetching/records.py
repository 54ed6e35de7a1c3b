"""The typed store calls of a fetch. Each is one script, and fenced by the lease of the fetch's task.

All raise StoreOutage; those with a fence raise StaleFence where another worker has the fetch, or no image
needs it any more.
"""

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec
from redis.asyncio import Redis

from image2model.domain import ImageError, PictureAddress, Preparation, StoredView
from image2model.errors import StaleFence
from image2model.jobs.fetches import FetchPlan
from image2model.store.connection import command
from image2model.store.keys import key
from image2model.store.scripts import Script

_NOTE: Final = Script("fetching/note_fetched")
_FINISH: Final = Script("fetching/finish_fetch")
_FAIL: Final = Script("fetching/fail_fetch")
_COUNT: Final = Script("fetching/count_try")
Field = str | int


class FetchedPicture(msgspec.Struct, frozen=True):
    """One picture that is stored: `size` in bytes, sides in pixels, `frames` as many as
    the file holds."""

    size: int
    sha256: str
    width: int
    height: int
    format: str
    frames: int = 1


class Fetch(msgspec.Struct, frozen=True):
    """A fetch as it is now. Each picture has an address or is stored."""

    fetch_id: str
    plan: FetchPlan
    addresses: Mapping[int, PictureAddress]
    pictures: Mapping[int, FetchedPicture]


class WaitingImage(msgspec.Struct, frozen=True, kw_only=True):
    """What of an image, and of its job, its pictures decide."""

    image_id: str
    job_id: str
    owner: str
    model: str
    params: dict[str, object]
    no_cache: bool
    traceparent: str
    views: tuple[StoredView, ...]
    preparation: Preparation | None
    variant: int | None
    seed: int | None


_plan: Final = msgspec.json.Decoder(FetchPlan)
_picture: Final = msgspec.json.Decoder(FetchedPicture)
_views: Final = msgspec.json.Decoder(tuple[StoredView, ...])
_preparation: Final = msgspec.json.Decoder(Preparation)
_params: Final = msgspec.json.Decoder(dict[str, object])
_failed: Final = msgspec.msgpack.Decoder(list[tuple[str, str]])
_IMAGE: Final = ("job_id", "owner", "params", "views", "preparation", "variant", "seed")
_JOB: Final = ("model", "params", "no_cache", "traceparent")


async def load(redis: Redis, fetch_id: str) -> Fetch | None:
    """The fetch; None where no image needs it, or its addresses have been kept for too long."""
    row: dict[bytes, bytes] = await command(redis, "HGETALL", key("fetch", fetch_id))
    fields = {name.decode(): value.decode() for name, value in row.items()}
    if "plan" not in fields:
        return None
    return Fetch(
        fetch_id=fetch_id,
        plan=_plan.decode(fields["plan"]),
        addresses={
            int(name[4:]): PictureAddress(url) for name, url in fields.items() if name.startswith("url:")
        },
        pictures={
            int(name[4:]): _picture.decode(text) for name, text in fields.items() if name.startswith("got:")
        },
    )


async def load_images(redis: Redis, plan: FetchPlan) -> list[WaitingImage]:
    """The images of the plan that exist."""
    found = []
    for target in plan.targets:
        job = await _texts(redis, key("job", target.job_id), _JOB)
        for image_id in target.image_ids:
            image = await _texts(redis, key("image", image_id), _IMAGE)
            if image["job_id"] != target.job_id or not job["model"]:
                continue
            found.append(
                WaitingImage(
                    image_id=image_id,
                    job_id=target.job_id,
                    owner=image["owner"],
                    model=job["model"],
                    params=_params.decode(image["params"] or job["params"] or "{}"),
                    no_cache=job["no_cache"] == "1",
                    traceparent=job["traceparent"],
                    views=_views.decode(image["views"]) if image["views"] else (),
                    preparation=_preparation.decode(image["preparation"]) if image["preparation"] else None,
                    variant=int(image["variant"]) if image["variant"] else None,
                    seed=int(image["seed"]) if image["seed"] else None,
                )
            )
    return found


async def _texts(redis: Redis, name: str, fields: Sequence[str]) -> dict[str, str]:
    values = await command(redis, "HMGET", name, *fields)
    return {field: value.decode() if value else "" for field, value in zip(fields, values, strict=True)}


async def note_fetched(redis: Redis, fetch_id: str, token: str, index: int, picture: FetchedPicture) -> None:
    """One picture is stored; its address is erased."""
    text = msgspec.json.encode(picture).decode()
    _held(fetch_id, await _NOTE.packed(redis, fetch_id, token, index, text))


async def finish(
    redis: Redis, fetch_id: str, token: str, images: Sequence[tuple[str, Sequence[Field]]]
) -> None:
    """All pictures are stored: write the fields of each image, let it take its place in the queue, and erase
    the fetch.
    """
    _held(fetch_id, await _FINISH.packed(redis, fetch_id, token, images))


async def count_try(redis: Redis, fetch_id: str, token: str) -> int:
    """How often the fetch has failed by now, for reasons that may pass."""
    return _held(fetch_id, await _COUNT.packed(redis, fetch_id, token))


async def fail(
    redis: Redis, fetch_id: str, token: str, error: ImageError, *, keep: bool
) -> list[tuple[str, str]]:
    """End the images that wait for the fetch. `keep`: a retry may use its addresses.

    Returns the ids of those that have failed, with their models.
    """
    text = msgspec.json.encode(error).decode()
    return _failed.decode(await _FAIL.packed(redis, fetch_id, token, text, keep))


def _held(fetch_id: str, reply: int) -> int:
    if not reply:
        raise StaleFence(f"fetch {fetch_id} is another worker's, or not needed any more")
    return int(reply)
