"""Judges what FAL was sent: every view of an object under its side, each a picture of its own, and the seed.

Who calls it: the verdict.
"""

from typing import Any

from image2model.store.records import ImageRow


def sent(ledger: list[dict[str, Any]], images: dict[str, ImageRow]) -> list[str]:
    """Each request holds the seed and the views that were accepted, and no picture twice."""
    broken, seen = [], set[str]()
    for entry in ledger:
        image = images.get(entry["tags"]["i2m.image"])
        if image is None:
            continue  # told elsewhere
        pictures = {name: url for name, url in entry["input"].items() if name.endswith("image_url")}
        wanted = {f"{view.side}_image_url".removeprefix("_") for view in image.views} or {"image_url"}
        if set(pictures) != wanted:
            broken.append(f"image {image.image_id} was sent as {sorted(pictures)}, not {sorted(wanted)}")
        if entry["input"].get("seed") != image.seed:
            broken.append(f"image {image.image_id} was sent with another seed than {image.seed}")
        for url in pictures.values():
            if url in seen:
                broken.append(f"{entry['request_id']} holds a picture of another request, or twice: {url}")
            seen.add(url)
    return broken
