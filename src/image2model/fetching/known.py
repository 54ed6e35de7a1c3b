"""What fetched pictures say about their images: the fields of an image that were not known before. Pure."""

from collections.abc import Mapping

import msgspec

from image2model.domain import StoredView, object_digest
from image2model.fetching.records import FetchedPicture, Field, WaitingImage
from image2model.jobs.digests import cutout_digest, digest, variant_digest
from image2model.storage import layout


def known_fields(
    image: WaitingImage, pictures: Mapping[str, FetchedPicture], *, dedupe: str
) -> tuple[Field, ...]:
    """Names and values, flat. `pictures`: by their file's id in the image's job. `dedupe` is `I2M_DEDUPE`."""
    views = tuple(_known(view, pictures.get(view.file_id)) for view in image.views)
    alone = StoredView(file_id=image.image_id, filename="")
    shown = views or (_known(alone, pictures[image.image_id]),)
    hashes = [view.sha256 or "" for view in shown]
    sha256 = object_digest([view.side for view in shown], hashes)
    first = shown[0]
    ext = first.format or ""
    fields: list[Field] = [
        *("size", sum(view.size or 0 for view in shown)),
        *("sha256", sha256),
        *("width", first.width or 0),
        *("height", first.height or 0),
        *("format", ext),
        *("frames", first.frames),
        *("source_key", layout.original(image.job_id, first.file_id, ext)),
    ]
    if views:
        fields += ["views", msgspec.json.encode(views).decode()]
    return (*fields, *_digests(image, sha256, hashes, dedupe))


def _known(view: StoredView, picture: FetchedPicture | None) -> StoredView:
    if picture is None:
        return view
    return msgspec.structs.replace(view, **msgspec.structs.asdict(picture))


def _digests(image: WaitingImage, sha256: str, hashes: list[str], dedupe: str) -> tuple[Field, ...]:
    """As `batch_request` has them for pictures that come with the request."""
    preparation, no_cache = image.preparation, image.no_cache
    run = digest(
        sha256,
        image.model,
        image.params,
        owner=image.owner,
        dedupe=dedupe,
        no_cache=no_cache,
        terms=() if preparation is None else preparation.terms,
    )
    run = variant_digest(run, image.variant or 1, image.seed)
    remover = preparation.remove_background if preparation is not None else None
    if remover is None:
        return ("digest", run)
    cutouts = [
        cutout_digest(one, remover, owner=image.owner, dedupe=dedupe, no_cache=no_cache) for one in hashes
    ]
    return ("digest", cutouts[0], "main_digest", run, "cutout_digests", " ".join(cutouts))
