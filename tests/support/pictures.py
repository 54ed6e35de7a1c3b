"""Test pictures, made here from a seed: every format, mode and oddity that real cameras and editors write.

`picture(...)` makes one, `photo_set(n)` a mixed set of different real-looking ones. The same arguments
give the same bytes.
"""

import io
import struct
import zlib
from collections.abc import Callable

import numpy as np
import pillow_heif
from PIL import Image, ImageCms, PngImagePlugin

GPS_MARK = b"N\x00\x00\x00"  # latitude reference, to be found in bytes that were not stripped
SECRET = "taken at home"
_FORMATS = {
    "png": "PNG", "jpeg": "JPEG", "webp": "WEBP", "mpo": "MPO", "gif": "GIF", "tiff": "TIFF", "bmp": "BMP",
    "avif": "AVIF",
}  # fmt: skip


def scene(size: tuple[int, int], seed: int) -> Image.Image:
    """A real-looking RGB picture: a lit sky, a ground, and some shaded bodies, with a little noise."""
    width, height = size
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    x, y = x / width, y / height
    top, bottom = rng.uniform(40, 220, (2, 3)).astype(np.float32)
    pixels = top * (1 - y[..., None]) + bottom * y[..., None]
    for _ in range(int(rng.integers(2, 6))):
        cx, cy, radius = rng.uniform(0.1, 0.9), rng.uniform(0.2, 0.9), rng.uniform(0.08, 0.3)
        inside = ((x - cx) ** 2 + (y - cy) ** 2 < radius**2)[..., None]
        light = (1.2 - ((x - cx + radius / 2) ** 2 + (y - cy + radius / 2) ** 2) / radius**2 / 3)[..., None]
        pixels = np.where(inside, rng.uniform(30, 255, 3).astype(np.float32) * light, pixels)
    if width * height <= 4_000_000:
        pixels = pixels + rng.normal(0, 3, pixels.shape)
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


def marked(size: tuple[int, int]) -> Image.Image:
    """Four quarters of red, green, blue and white: says which way up a picture is."""
    width, height = size
    image = Image.new("RGB", size, (255, 255, 255))
    image.paste((255, 0, 0), (0, 0, width // 2, height // 2))
    image.paste((0, 255, 0), (width // 2, 0, width, height // 2))
    image.paste((0, 0, 255), (0, height // 2, width // 2, height))
    return image


def in_mode(image: Image.Image, mode: str) -> Image.Image:
    """The same picture in another mode; alpha falls off towards the edges."""
    if mode in ("RGBA", "LA"):
        image = image.convert(mode)
        mask = Image.radial_gradient("L").resize(image.size).point([255 - value for value in range(256)])
        image.putalpha(mask)
        return image
    if mode == "P":
        return image.quantize(64)
    if mode == "I;16":
        grey = np.asarray(image.convert("L"), np.uint16) * 257
        return Image.fromarray(grey)
    return image.convert(mode)


def exif(orientation: int | None, *, gps: bool, thumbnail: bool = False) -> bytes:
    """An EXIF block (without the `Exif` prefix) with the orientation, a place, a secret, a thumbnail."""
    block = Image.Exif()
    if orientation is not None:
        block[0x0112] = orientation
    if gps:
        block[0x010E] = SECRET
        block.get_ifd(0x8825).update({1: "N", 2: (48.0, 8.0, 1.0), 3: "E", 4: (11.0, 34.0, 2.0)})
    encoded = block.tobytes().removeprefix(b"Exif\x00\x00")
    # A real thumbnail is a JPEG of its own inside the block, with its own end marker.
    return encoded + picture("jpeg", (160, 120), "RGB", 9) if thumbnail else encoded


def picture(
    format: str,  # noqa: A002
    size: tuple[int, int] = (256, 256),
    mode: str = "RGB",
    seed: int = 0,
    *,
    orientation: int | None = None,
    gps: bool = False,
    exif_thumbnail: bool = False,
    profile: bytes | None = None,
    progressive: bool = False,
    restart: int = 0,
    lossless: bool = False,
    frames: int = 1,
    text: bool = False,
    interlaced: bool = False,
    trailing: bytes = b"",
    base: Image.Image | None = None,
    quality: int = 88,
) -> bytes:
    """One encoded picture. `format`: one of `_FORMATS`, or heic; `mode`: a Pillow mode, `I;16`, `RGB;16`,
    `RGBA;16` or `LA;16` (PNG only). `frames` > 1 makes an APNG or an animated WebP."""
    image = base if base is not None else scene(size, seed)
    if mode.endswith(";16") and mode != "I;16":
        return wide_png(image, mode.removesuffix(";16")) + trailing
    image = in_mode(image, mode)
    if format == "heic":
        return heic(
            image, *(in_mode(scene(image.size, seed + n), mode) for n in range(1, frames)), profile=profile
        )
    options: dict[str, object] = {}
    if orientation is not None or gps or exif_thumbnail:
        block = exif(orientation, gps=gps, thumbnail=exif_thumbnail)
        options["exif"] = block if format == "png" else b"Exif\x00\x00" + block
    if profile is not None:
        options["icc_profile"] = profile
    if format in ("jpeg", "mpo"):
        options |= {"quality": quality, "progressive": progressive, "restart_marker_blocks": restart}
    if format == "jpeg" and text:
        options["comment"] = SECRET
    if format == "png" and text:
        info = PngImagePlugin.PngInfo()
        info.add_text("Comment", SECRET)
        info.add_itxt("XML:com.adobe.xmp", SECRET, zip=True)
        options["pnginfo"] = info
    if format == "webp":
        options |= {"lossless": lossless, "quality": quality, "method": 1}
    if frames > 1 or format == "mpo":
        others = [in_mode(scene(image.size, seed + 100 + n), mode) for n in range(1, max(frames, 2))]
        options |= {"save_all": True, "append_images": others}
    out = io.BytesIO()
    image.save(out, _FORMATS[format], **options)
    data = out.getvalue()
    return (interlace(data, image) if interlaced else data) + trailing


def chunk(kind: bytes, content: bytes) -> bytes:
    """One PNG chunk with its checksum."""
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png_of(
    width: int, height: int, depth: int, colour: int, rows: bytes, *, interlaced: bool = False
) -> bytes:
    """A PNG from filtered rows."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, int(interlaced))
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(rows, 6))
        + chunk(b"IEND", b"")
    )


def wide_png(image: Image.Image, mode: str) -> bytes:
    """A PNG of 16 bits a sample, which Pillow cannot write except in grey."""
    colour = {"L": 0, "RGB": 2, "LA": 4, "RGBA": 6}[mode]
    samples = (np.asarray(in_mode(image, mode), np.uint16) * 257).astype(">u2")
    rows = b"".join(b"\x00" + samples[y].tobytes() for y in range(image.height))
    return png_of(image.width, image.height, 16, colour, rows)


def interlace(_data: bytes, image: Image.Image) -> bytes:
    """The picture as an Adam7 PNG, which Pillow cannot write."""
    pixels = np.asarray(image.convert("RGB"))
    passes = (
        (0, 0, 8, 8),
        (0, 4, 8, 8),
        (4, 0, 8, 4),
        (0, 2, 4, 4),
        (2, 0, 4, 2),
        (0, 1, 2, 2),
        (1, 0, 2, 1),
    )
    rows = b""
    for y0, x0, dy, dx in passes:
        part = pixels[y0::dy, x0::dx]
        if part.size:
            rows += b"".join(b"\x00" + row.tobytes() for row in part)
    return png_of(image.width, image.height, 8, 2, rows, interlaced=True)


def png_bomb(width: int = 50_000, height: int = 50_000) -> bytes:
    """A small whole PNG whose header promises far more pixels than it holds."""
    return png_of(width, height, 8, 2, b"\x00" * 1000)


def jpeg_bomb(width: int = 50_000, height: int = 50_000) -> bytes:
    """The same as a JPEG."""
    data = bytearray(picture("jpeg", (16, 16)))
    frame = data.index(b"\xff\xc0")
    data[frame + 5 : frame + 9] = struct.pack(">HH", height, width)
    return bytes(data)


def webp_bomb(width: int = 16_384, height: int = 16_384) -> bytes:
    """The same as a WebP."""
    data = bytearray(picture("webp", (16, 16)))
    start = data.index(b"\x9d\x01\x2a")
    data[start + 3 : start + 7] = struct.pack("<HH", width & 0x3FFF or 0x3FFF, height & 0x3FFF or 0x3FFF)
    return bytes(data)


def srgb_profile() -> bytes:
    """sRGB's own ICC profile."""
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def swapped_profile() -> bytes:
    """An RGB profile whose red and blue are swapped: a picture shown without it looks wrong."""
    profile = bytearray(srgb_profile())
    count = struct.unpack_from(">I", profile, 128)[0]
    entries = {bytes(profile[132 + 12 * n : 136 + 12 * n]): 132 + 12 * n for n in range(count)}
    red, blue = entries[b"rXYZ"], entries[b"bXYZ"]
    profile[red : red + 4], profile[blue : blue + 4] = b"bXYZ", b"rXYZ"
    return (
        bytes(profile)
        .replace(b"sRGB", b"swap")
        .replace("sRGB".encode("utf-16-be"), "swap".encode("utf-16-be"))
    )


VARIANTS: tuple[tuple[str, Callable[[int], bytes]], ...] = (
    ("photo.jpg", lambda seed: picture("jpeg", (640, 480), seed=seed, orientation=6, gps=True)),
    ("drawing.png", lambda seed: picture("png", (300, 400), "RGBA", seed)),
    ("web.webp", lambda seed: picture("webp", (512, 384), seed=seed)),
    ("scan.png", lambda seed: picture("png", (256, 320), "I;16", seed)),
    ("print.jpg", lambda seed: picture("jpeg", (320, 240), "CMYK", seed)),
    ("logo.png", lambda seed: picture("png", (128, 128), "P", seed)),
    ("grey.jpg", lambda seed: picture("jpeg", (400, 300), "L", seed)),
    ("phone.jpg", lambda seed: picture("jpeg", (480, 640), seed=seed, exif_thumbnail=True, orientation=8)),
    ("tiny.png", lambda seed: picture("png", (64, 64), seed=seed)),
    ("stereo.jpg", lambda seed: picture("mpo", (320, 320), seed=seed)),
    ("slow.jpg", lambda seed: picture("jpeg", (500, 333), seed=seed, progressive=True)),
    ("moving.webp", lambda seed: picture("webp", (160, 160), seed=seed, frames=3)),
    ("moving.png", lambda seed: picture("png", (120, 160), seed=seed, frames=2)),
    ("wide.jpg", lambda seed: picture("jpeg", (300, 200), seed=seed, profile=swapped_profile())),
    ("ink.png", lambda seed: picture("png", (200, 200), "LA", seed)),
    ("sharp.webp", lambda seed: picture("webp", (200, 150), "RGBA", seed, lossless=True)),
    ("deep.png", lambda seed: picture("png", (180, 120), "RGB;16", seed)),
    ("interlaced.png", lambda seed: picture("png", (90, 70), seed=seed, interlaced=True)),
    ("mirror.jpg", lambda seed: picture("jpeg", (220, 330), seed=seed, orientation=5, restart=4)),
    ("bits.png", lambda seed: picture("png", (256, 256), "1", seed)),
)


def photo_set(n: int, *, large: bool = False) -> list[tuple[str, bytes]]:
    """`n` different pictures with different names, going round the variants; `large` adds 20 megapixels."""
    photos = []
    for index in range(n):
        name, make = VARIANTS[index % len(VARIANTS)]
        photos.append((f"{index:03d}-{name}", make(1000 + index)))
    if large and photos:
        photos[0] = ("000-large.jpg", picture("jpeg", (5472, 3648), seed=999, orientation=3, quality=80))
    return photos


def heic(
    image: Image.Image,
    *others: Image.Image,
    primary: int = 0,
    profile: bytes | None = None,
    turn: tuple[bytes, int] | None = None,
) -> bytes:
    """A HEIC. `turn` is a property that turns or mirrors it: (b"irot" or b"imir", its value)."""
    file = pillow_heif.from_pillow(image)
    for other in others:
        file.add_from_pillow(other)
    if profile is not None:
        file[primary].info["icc_profile"] = profile
    out = io.BytesIO()
    # At 48 megapixels the own preset takes minutes, and libheif reads no untiled stream of 17 MB or more.
    large = image.width * image.height > 4_000_000
    quick = {"preset": "ultrafast"} if large else {}
    file.save(out, primary_index=primary, quality=50 if large else 95, enc_params=quick)
    return turned(out.getvalue(), *turn) if turn else out.getvalue()


def turned(data: bytes, kind: bytes, value: int) -> bytes:
    """A HEIC or AVIF whose first item has one property more. Its pixels move, so their offsets do too."""
    added = struct.pack(">I4sB", 9, kind, value)
    ipco, ipma = data.index(b"ipco") - 4, data.index(b"ipma") - 4
    properties, at, end = 0, ipco + 8, ipco + struct.unpack_from(">I", data, ipco)[0]
    while at < end:
        properties, at = properties + 1, at + struct.unpack_from(">I", data, at)[0]
    entry = ipma + 16
    wider = len(added) + 1
    out = bytearray(data)
    count_at = entry + 2
    out[count_at] += 1
    last = count_at + 1 + data[count_at]
    out[last:last] = bytes([0x80 | (properties + 1)])
    out[end:end] = added
    for name, more in ((b"ipco", len(added)), (b"ipma", 1), (b"iprp", wider), (b"meta", wider)):
        place = out.index(name) - 4
        out[place : place + 4] = struct.pack(">I", struct.unpack_from(">I", out, place)[0] + more)
    return _moved(bytes(out), wider)


def _moved(data: bytes, by: int) -> bytes:
    """The same with all offsets of item data (4 bytes each, no base) increased."""
    out = bytearray(data)
    at = out.index(b"iloc") + 4
    version, sizes = out[at], out[at + 4]
    assert sizes == 0x44
    assert version < 2
    (items,) = struct.unpack_from(">H", out, at + 6)
    at += 8
    base = data[data.index(b"iloc") + 9] >> 4
    for _ in range(items):
        at += 2 + (2 if version else 0) + 2
        assert base in (0, 4)
        at += base
        (extents,) = struct.unpack_from(">H", out, at)
        at += 2
        for _ in range(extents):
            out[at : at + 4] = struct.pack(">I", struct.unpack_from(">I", out, at)[0] + by)
            at += 8
    return bytes(out)
