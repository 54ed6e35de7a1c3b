"""Decodes pictures and converts every colour mode to plain 8-bit sRGB.

Run it in a thread. It sets nothing global but Pillow's pixel limit and the size of its blocks of memory, and
shares no colour profile between threads, because a Little CMS handle is not thread-safe.
"""

import io
import struct
import warnings
import zlib
from collections.abc import Sequence
from typing import cast

from PIL import Image, ImageChops, ImageCms

from image2model.domain import PictureLimits
from image2model.errors import ImageFailure
from image2model.media import hdr
from image2model.media.fitting import Size, averages, draft_size, fitted, resized, turned
from image2model.media.picture import QUARTER_TURNS
from image2model.media.source import StrippedSource

# The colour space of a profile for each mode; with any other pairing the profile is ignored.
_SPACES = {"RGB": "RGB", "RGBA": "RGB", "L": "GRAY", "CMYK": "CMYK"}
# ValueError, because Pillow decodes the names and texts in a profile strictly.
_BROKEN_PROFILE = (OSError, ValueError, ImageCms.PyCMSError)
_FLAGS = ImageCms.Flags.BLACKPOINTCOMPENSATION
# Our own limit was checked on the header already; Pillow's would only warn.
Image.MAX_IMAGE_PIXELS = None
# Pillow takes its memory in blocks of 16 MiB, which malloc keeps when a thread frees them: a worker held
# 1.4 GB after pictures of 48 megapixels. Blocks above malloc's threshold (32 MiB) go back at once.
Image.core.set_block_size(64 << 20)  # type: ignore[attr-defined]
# What Pillow's TIFF reader says of odd tags helps nobody who reads the log.
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")
# Errors of Pillow's plugins on broken data. MemoryError is not one: it is this machine's fault.
_BROKEN = (
    OSError, SyntaxError, ValueError, EOFError, ArithmeticError, LookupError, TypeError, AttributeError,
    RuntimeError, struct.error, zlib.error,
)  # fmt: skip
# Errors of Pillow where decoded pixels contradict the file's metadata (transparency, palette). Any other of
# the above would be our own fault here.
_CONTRADICTORY = (OSError, ValueError, ArithmeticError)
_ROUNDING = 1
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def decode(source: StrippedSource, *, draft: Size | None = None) -> Image.Image:
    """All pixels of the first frame, in the mode in which they are stored, not yet turned.

    With `draft`, a JPEG may come out smaller by 2, 4 or 8, no side shorter than those of `draft` in pixels:
    its decoder then averages while it decodes. Raises ImageFailure `image_unreadable`.
    """
    try:
        image = _opened(source.data, source.format)
        if draft is not None:
            image.draft(None, draft)
        image.load()
    except _BROKEN as error:
        raise unreadable(f"The {source.format.upper()} cannot be decoded ({_reason(error)}).") from error
    return image


def decode_fitted(source: StrippedSource, limits: PictureLimits) -> tuple[Image.Image, Size]:
    """The same, made smaller where the upright picture is to fit within `limits`; and its whole stored size.

    A picture whose pixels must be converted first is left as it is. Raises ImageFailure `image_unreadable`.
    """
    try:
        image = _opened(source.data, source.format)
        whole = image.size
        size = fitted(whole, turned(limits) if source.orientation in QUARTER_TURNS else limits)
        reduced = image.draft(None, draft_size(whole, size)) if size != whole else None
        image.load()
    except _BROKEN as error:
        raise unreadable(f"The {source.format.upper()} cannot be decoded ({_reason(error)}).") from error
    if size != whole and averages(image):
        info, image = image.info, resized(image, size, reduced[1] if reduced else None)
        image.info = info
    return image, whole


def converted(image: Image.Image, source: StrippedSource) -> Image.Image:
    """Decoded pixels as plain 8-bit sRGB, not yet turned: `image` itself if it is that already.

    Raises ImageFailure `image_unreadable`.
    """
    try:
        inside = image.info.get("icc_profile") if source.profile_inside else None
        if isinstance(inside, bytes) and inside:
            return to_srgb(image, inside, inverted=source.inverted)
        if source.lower is not None:
            image = _keyed(image, _opened(source.lower, "png"), source.key)
        if source.hdr is not None:
            return hdr.shown(to_srgb(image, None, inverted=False), *source.hdr)
        if source.made_profile:
            image = to_srgb(image, None, inverted=False)
        return to_srgb(image, source.profile, inverted=source.inverted)
    except _CONTRADICTORY as error:
        raise unreadable(f"The {source.format.upper()} contradicts itself ({_reason(error)}).") from error


def _opened(data: bytes, name: str) -> Image.Image:
    if name == "heic":
        import pi_heif  # here, because only decoder processes need it

        found = pi_heif.open_heif(io.BytesIO(data))
        image: Image.Image = found[found.primary_index].to_pillow()
        return image
    return Image.open(io.BytesIO(data), formats=[name.upper()])


def _keyed(upper: Image.Image, lower: Image.Image, key: Sequence[int]) -> Image.Image:
    """The picture of the upper bytes, transparent where upper and lower ones are the colour `key`."""
    opaque = Image.new("L", upper.size)
    for image, shift in ((upper, 8), (lower, 0)):
        for band, value in zip(image.split(), key, strict=True):
            same = value >> shift & 0xFF
            opaque = ImageChops.lighter(opaque, band.point([255 * (index != same) for index in range(256)]))
    image = upper.copy()
    image.putalpha(opaque)
    return image


def upright(image: Image.Image, orientation: int) -> Image.Image:
    """The picture as a viewer shows it, by its EXIF orientation (1 to 8)."""
    turn = _UPRIGHT.get(orientation)
    return image if turn is None else image.transpose(turn)


def unreadable(reason: str) -> ImageFailure:
    """The failure of a picture that no retry can repair."""
    advice = "Open it in an image editor, save it as PNG or JPEG, and send that."
    return ImageFailure("image_unreadable", f"{reason} {advice}", retryable=False)


def _reason(error: BaseException) -> str:
    text = str(error).split("\n", 1)[0][:120]
    return "no decoder accepts it" if "<_io" in text or not text else text


def to_srgb(image: Image.Image, profile: bytes | None, *, inverted: bool) -> Image.Image:
    """The picture in mode RGB, or RGBA where it has transparency: `image` itself if it is that already.

    `profile` is the embedded ICC profile (ignored when broken or of another colour space); `inverted`: a CMYK
    JPEG stores its inks inverted, as Adobe's do.
    """
    image = _eight_bit(image)
    if image.mode == "CMYK" and not inverted:
        image = ImageChops.invert(image)  # Pillow treats every CMYK JPEG as an Adobe one
    if image.mode in ("LA", "La"):
        return _grey_with_alpha(image, profile)
    if "transparency" in image.info or image.mode in ("PA", "RGBa"):
        image = image.convert("RGBA")
    elif image.mode not in _SPACES:
        image = image.convert("RGB")
    image = _managed(image, profile)
    return image if image.mode in ("RGB", "RGBA") else image.convert("RGB")


def _eight_bit(image: Image.Image) -> Image.Image:
    """The upper eight of sixteen bits, which Pillow would clip at 255. Floats are 0 to 1, or 0 to 255."""
    if image.mode == "F":
        (_, most), scale = image.getextrema(), 255.0
        return image.point(lambda value: value * (scale if 0 < cast("float", most) <= 1 else 1)).convert("L")
    if not image.mode.startswith("I"):
        return image
    wide = image.tobytes()
    width = len(wide) // (image.width * image.height)
    # Samples are 0 to 65,535 in both modes: byte 1 of a little-endian sample is the upper one.
    first = 0 if image.mode == "I;16B" else 1
    return Image.frombytes("L", image.size, wide[first::width])


def _grey_with_alpha(image: Image.Image, profile: bytes | None) -> Image.Image:
    image = image.convert("LA")
    colour = _managed(image.getchannel("L"), profile).convert("RGB")
    colour.putalpha(image.getchannel("A"))
    return colour


def _managed(image: Image.Image, profile: bytes | None) -> Image.Image:
    try:
        opened = _usable(profile, _SPACES[image.mode])
        return image if opened is None else _transformed(image, opened)
    except _BROKEN_PROFILE:
        return image  # as viewers do: a broken profile is ignored


def _usable(profile: bytes | None, space: str) -> ImageCms.ImageCmsProfile | None:
    """The profile; None for no profile, for sRGB, and for another colour space."""
    if profile is None:
        return None
    opened = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    if opened.profile.xcolor_space.strip() != space or (space == "RGB" and _is_srgb(opened)):
        return None
    return opened


def _is_srgb(opened: ImageCms.ImageCmsProfile) -> bool:
    """Whether it changes no colour by more than rounding. Its name proves nothing."""
    ramp = Image.linear_gradient("L")
    dark = Image.new("L", ramp.size)
    samples = [
        Image.merge("RGB", bands)
        for bands in ((ramp, ramp, ramp), (ramp, dark, dark), (dark, ramp, dark), (dark, dark, ramp))
    ]
    differences = (ImageChops.difference(one, _transformed(one, opened)) for one in samples)
    return all(
        most <= _ROUNDING
        for one in differences
        for _, most in cast("tuple[tuple[int, int], ...]", one.getextrema())
    )


def _transformed(image: Image.Image, opened: ImageCms.ImageCmsProfile) -> Image.Image:
    changed = ImageCms.profileToProfile(
        image, opened, ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")),
        renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
        outputMode="RGBA" if image.mode == "RGBA" else "RGB", flags=_FLAGS,
    )  # fmt: skip
    return image if changed is None else changed
