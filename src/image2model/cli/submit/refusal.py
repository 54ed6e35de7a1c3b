"""What a refused upload means: it was too much at once, or some of its pictures are to blame.

Who calls it: the sender and the quote.
"""

from collections.abc import Sequence
from typing import Final

from image2model.cli.submit.item import Item
from image2model.client import ApiError

_TOO_MUCH: Final = frozenset({"too_many_files", "body_too_large"})
_FILES_TO_BLAME: Final = frozenset(
    {"file_too_large", "body_too_large", "not_an_image", "image_truncated", "image_too_large"}
)


def is_too_much(error: ApiError, items: Sequence[Item]) -> bool:
    """Whether the service takes less in one upload, and these can be split."""
    return error.code in _TOO_MUCH and len(items) > 1


def blame(error: ApiError, items: Sequence[Item]) -> None:
    """Fail each with its reason. Raises the error again where no picture is to blame."""
    if error.code not in _FILES_TO_BLAME:
        raise error
    faults = {fault.file: fault for fault in error.errors}
    for item in items:
        fault = faults.get(item.name)
        item.fail(fault.code if fault else error.code, fault.detail if fault else error.detail)
