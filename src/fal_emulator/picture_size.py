"""Refuses pictures that are larger or smaller than a field takes, in the words of FAL's list of errors.

Called by `loading` in a thread. FAL's own apps check the file's size while they download it, then the sides.
"""

from fal_emulator.endpoints import Field
from fal_emulator.picture import size_of_picture
from fal_emulator.validation import Loc


class SizeError(Exception):
    """A picture of the wrong size; `ctx` says which sizes are taken."""

    def __init__(self, message: str, kind: str, loc: Loc, given: object, ctx: dict[str, object]) -> None:
        super().__init__(message)
        self.kind = kind
        self.loc = loc
        self.given = given
        self.ctx = ctx


def check_size(loc: Loc, field: Field, given: object, data: bytes) -> None:
    """Raises SizeError, and PictureError for what is no picture."""
    limits = field.picture
    if limits is None:
        return
    if limits.max_file_size is not None and len(data) > limits.max_file_size:
        raise SizeError("File too large", "file_too_large", loc, given, {"max_size": limits.max_file_size})
    width, height = size_of_picture(data)
    if width > (limits.max_width or width) or height > (limits.max_height or height):
        ctx: dict[str, object] = {"max_height": limits.max_height, "max_width": limits.max_width}
        raise SizeError("Image too large", "image_too_large", loc, given, ctx)
    if width < (limits.min_width or 0) or height < (limits.min_height or 0):
        ctx = {"min_height": limits.min_height, "min_width": limits.min_width}
        raise SizeError("Image too small", "image_too_small", loc, given, ctx)
