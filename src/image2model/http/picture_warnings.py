"""Warnings about pictures, as clients read them: in a quote, and in an image's document. Pure."""

from typing import Final

import msgspec

from image2model.domain import PictureWarningCode, ScaledPicture

_HEIC: Final = "heic"
_TIFF: Final = "tiff"


class PictureWarning(msgspec.Struct, frozen=True):
    """What may be wrong with a picture, or was done with it. Nothing is refused because of it.

    `file` is the picture's name: of a view, its own. `tiny`: too few pixels, or too small an object in it;
    `uniform`: almost one colour; `text`: a screenshot or a page; `several_objects`: side by side;
    `several_frames`: only one picture of the file is used; `scaled`: the model takes no larger picture.
    """

    code: PictureWarningCode
    file: str
    message: str


def frames_warning(file: str, file_format: str | None, frames: int | None) -> PictureWarning | None:
    """Which of a file's pictures is used; None where it holds one."""
    if frames is None or frames <= 1:
        return None
    if file_format == _HEIC:
        words = f"The file holds {frames:,} pictures; only the primary picture is used."
    elif file_format == _TIFF:
        words = f"The file holds {frames:,} pages; only the first page is used."
    else:
        words = f"The file holds {frames:,} frames; only the first frame is used."
    return PictureWarning(PictureWarningCode.SEVERAL_FRAMES, file, words)


def scaled_warning(file: str, scaled: ScaledPicture) -> PictureWarning:
    """How much smaller a picture is sent than it was uploaded, and why."""
    words = (
        f"Scaled from {scaled.from_width} × {scaled.from_height} to {scaled.width} × {scaled.height} pixels: "
        f"{scaled.model} takes no larger picture."
    )
    return PictureWarning(PictureWarningCode.SCALED, file, words)
