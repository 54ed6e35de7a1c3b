"""What people upload: products, cut-outs, screenshots, pages, patterns. Drawn here from a seed.

Unlike `pictures`, which is about formats, this is about what a picture shows.
"""

import io
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageFont

WHITE = (255, 255, 255)
_TEXT = (
    "the model of a chair that was made from one picture has four legs and its price is shown in the table "
    "below where you can also see how long it took and which endpoint made it Please send the next picture "
    "before Monday because the shop opens then and nobody wants to wait for the file again Thank you all"
)
WORDS = tuple(_TEXT.split())


def encoded(image: Image.Image, format: str = "JPEG", quality: int = 88) -> bytes:  # noqa: A002
    """The picture as a file."""
    out = io.BytesIO()
    image.save(out, format, **({"quality": quality} if format != "PNG" else {"compress_level": 1}))
    return out.getvalue()


def noisy(image: Image.Image, sigma: float = 3.0, seed: int = 1) -> Image.Image:
    """The same with a camera's noise."""
    pixels = np.asarray(image).astype(np.float32)
    pixels[..., :3] += np.random.default_rng(seed).normal(0, sigma, pixels[..., :3].shape)
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


def gradient(size: tuple[int, int], top: Sequence[int], bottom: Sequence[int]) -> Image.Image:
    """From one colour to another, downwards."""
    y = np.linspace(0, 1, size[1], dtype=np.float32)[:, None, None]
    pixels = np.array(top) * (1 - y) + np.array(bottom) * y
    return Image.fromarray(np.broadcast_to(pixels, (size[1], size[0], 3)).astype(np.uint8).copy())


def shaded(mask: Image.Image, colour: Sequence[int], seed: int = 0) -> Image.Image:
    """The shape in a colour, lit from the upper left and with grain; transparent around it."""
    width, height = mask.size
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    light = 1.15 - 0.35 * x / width - 0.35 * y / height
    grain = np.random.default_rng(seed).normal(1, 0.03, (height, width)).astype(np.float32)
    pixels = np.clip(np.array(colour, np.float32) * (light * grain)[..., None], 0, 255).astype(np.uint8)
    image = Image.fromarray(pixels).convert("RGBA")
    image.putalpha(mask)
    return image


def chair(side: int, colour: Sequence[int] = (150, 90, 40), seed: int = 0) -> Image.Image:
    """A chair seen from the front, cut out, `side` pixels high and wide."""
    mask = Image.new("L", (side, side))
    draw = ImageDraw.Draw(mask)
    unit = side / 100
    for box in (
        (25, 5, 75, 12), (25, 5, 30, 55), (70, 5, 75, 55), (40, 12, 44, 50), (56, 12, 60, 50),
        (20, 50, 80, 60), (22, 60, 27, 98), (73, 60, 78, 98), (32, 60, 36, 88), (64, 60, 68, 88),
    ):  # fmt: skip
        draw.rectangle([round(value * unit) for value in box], 255)
    return shaded(mask, colour, seed)


def mug(side: int, colour: Sequence[int] = (60, 110, 170), seed: int = 0) -> Image.Image:
    """A mug with a handle, cut out."""
    mask = Image.new("L", (side, side))
    draw = ImageDraw.Draw(mask)
    unit = side / 100
    draw.rounded_rectangle([15 * unit, 10 * unit, 70 * unit, 95 * unit], 6 * unit, fill=255)
    draw.arc([55 * unit, 25 * unit, 95 * unit, 75 * unit], -100, 100, fill=255, width=round(7 * unit))
    return shaded(mask, colour, seed)


def on(
    background: Image.Image, *subjects: tuple[Image.Image, tuple[int, int]], shadow: bool = False
) -> Image.Image:
    """The subjects on a background, each at its place, with a soft shadow if asked."""
    scene = background.convert("RGBA")
    for subject, place in subjects:
        if shadow:
            dark = Image.new("L", scene.size)
            low = subject.getchannel("A").resize((subject.width, subject.height // 4))
            dark.paste(
                low.point([level // 3 for level in range(256)]),
                (place[0] + subject.width // 12, place[1] + subject.height - low.height),
            )
            dark = dark.filter(ImageFilter.GaussianBlur(subject.width / 30))
            scene.paste((40, 40, 40, 255), (0, 0), dark)
        scene.alpha_composite(subject, place)
    return scene if background.mode == "RGBA" else scene.convert("RGB")


def lines(
    size: tuple[int, int],
    height: int,
    *,
    ink: Sequence[int] = (30, 30, 30),
    paper: Sequence[int] = (250, 250, 250),
    margin: float = 0.06,
    seed: int = 0,
) -> Image.Image:
    """A page of text; `height` is the font's, in pixels."""
    image = Image.new("RGB", size, tuple(paper))
    write(image, (margin, margin, 1 - margin, 1 - margin), height, ink=ink, seed=seed)
    return image


def write(
    image: Image.Image,
    box: tuple[float, float, float, float],
    height: int,
    *,
    ink: Sequence[int] = (30, 30, 30),
    seed: int = 0,
) -> None:
    """Fill a box, in shares of the picture, with paragraphs of text."""
    draw = ImageDraw.Draw(image)
    font = ImageFont.load_default(height)
    rng = np.random.default_rng(seed)
    left, top, right, bottom = (round(part * image.size[n % 2]) for n, part in enumerate(box))
    y = top
    while y + height < bottom:
        end = right if rng.random() > 0.15 else left + (right - left) * rng.uniform(0.2, 0.9)
        line = ""
        while True:
            longer = f"{line} {rng.choice(WORDS)}".strip()
            if left + draw.textlength(longer, font) > end:
                break
            line = longer
        draw.text((left, y), line, tuple(ink), font)
        y += round(height * 1.45)


def phone_chat(size: tuple[int, int] = (1080, 2340), *, dark: bool = False) -> Image.Image:
    """A screenshot of a chat: bubbles full of text."""
    image = Image.new("RGB", size, (18, 18, 22) if dark else (236, 229, 221))
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, 0, size[0], 150), fill=(30, 30, 36) if dark else (7, 94, 84))
    y, mine = 190, False
    rng = np.random.default_rng(4)
    while y < size[1] - 260:
        high = int(rng.integers(3, 9)) * 64
        left, right = (0.22, 0.97) if mine else (0.03, 0.78)
        fill = ((0, 92, 75) if mine else (38, 45, 49)) if dark else ((220, 248, 198) if mine else WHITE)
        draw.rounded_rectangle((left * size[0], y, right * size[0], y + high), 24, fill=fill)
        box = (left + 0.02, (y + 16) / size[1], right - 0.02, (y + high - 4) / size[1])
        write(image, box, 42, ink=(233, 237, 239) if dark else (20, 20, 20), seed=y)
        y, mine = y + high + 20, not mine
    return image


def editor(size: tuple[int, int] = (1920, 1080)) -> Image.Image:
    """A screenshot of a code editor, light on dark, with a side bar."""
    image = Image.new("RGB", size, (30, 30, 30))
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, 0, 300, size[1]), fill=(37, 37, 38))
    write(image, (0.01, 0.04, 0.15, 0.98), 16, ink=(180, 180, 180), seed=3)
    font = ImageFont.load_default(17)
    rng = np.random.default_rng(5)
    for row in range(40):
        indent = int(rng.integers(0, 4)) * 34
        x = 360.0 + indent
        for word in rng.choice(WORDS, int(rng.integers(4, 11))):
            colour = tuple(int(part) for part in rng.integers(140, 230, 3))
            draw.text((x, 20 + row * 26), str(word), colour, font)
            x += draw.textlength(f"{word} ", font)
    return image


def web_page(size: tuple[int, int] = (1440, 1800)) -> Image.Image:
    """A screenshot of an article with a picture in it."""
    image = Image.new("RGB", size, WHITE)
    ImageDraw.Draw(image).rectangle((0, 0, size[0], 70), fill=(20, 60, 120))
    write(image, (0.08, 0.05, 0.62, 0.34), 26, seed=1)
    image.paste(gradient((600, 300), (90, 140, 200), (60, 80, 40)), (120, 640))
    write(image, (0.08, 0.54, 0.62, 0.98), 26, seed=2)
    write(image, (0.68, 0.06, 0.95, 0.98), 20, ink=(90, 90, 90), seed=3)
    return image


def scan(size: tuple[int, int] = (1700, 2200), angle: float = 1.0) -> Image.Image:
    """A photographed page: not quite straight, unevenly lit, noisy."""
    page = lines(size, 30, paper=(244, 240, 230), margin=0.1)
    turned = page.rotate(angle, Image.Resampling.BICUBIC, fillcolor=(244, 240, 230))
    return noisy(ImageChops.multiply(turned, gradient(size, (255, 255, 250), (205, 200, 195))), 4)


def brick_wall(size: tuple[int, int] = (1200, 900)) -> Image.Image:
    """Bricks with pale mortar."""
    image = Image.new("RGB", size, (200, 195, 185))
    draw = ImageDraw.Draw(image)
    rng = np.random.default_rng(6)
    for row, y in enumerate(range(0, size[1], 40)):
        for x in range(-60 * (row % 2), size[0], 120):
            tone = int(rng.integers(-25, 25))
            draw.rectangle((x + 4, y + 4, x + 116, y + 36), fill=(160 + tone, 75 + tone // 2, 55))
    return noisy(image, 8)


def dots(size: tuple[int, int] = (1200, 1200), pitch: int = 30, radius: int = 8) -> Image.Image:
    """Polka dots in rows."""
    image = Image.new("RGB", size, (245, 240, 230))
    draw = ImageDraw.Draw(image)
    for y in range(pitch // 2, size[1], pitch):
        for x in range(pitch // 2, size[0], pitch):
            draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=(40, 60, 120))
    return noisy(image, 3)


def stripes(size: tuple[int, int] = (1200, 900), pitch: int = 24, *, angle: float = 0.0) -> Image.Image:
    """Blinds, or a striped shirt."""
    y = np.arange(size[1])[:, None] + np.arange(size[0])[None, :] * np.tan(np.radians(angle))
    dark = (y % pitch < pitch / 2)[..., None]
    return noisy(Image.fromarray(np.where(dark, (40, 50, 80), (235, 232, 225)).astype(np.uint8)), 4)


def checks(size: tuple[int, int] = (1000, 1000), pitch: int = 20) -> Image.Image:
    """A chessboard of small squares."""
    y, x = np.mgrid[0 : size[1], 0 : size[0]] // pitch
    return Image.fromarray(np.where(((x + y) % 2)[..., None], (30, 30, 30), (240, 240, 240)).astype(np.uint8))


def keyboard(size: tuple[int, int] = (1400, 600)) -> Image.Image:
    """Keys with their letters, seen from above."""
    image = Image.new("RGB", size, (60, 62, 66))
    draw = ImageDraw.Draw(image)
    font = ImageFont.load_default(26)
    for row in range(6):
        for column in range(15):
            x, y = 20 + column * 91, 20 + row * 95
            draw.rounded_rectangle((x, y, x + 80, y + 84), 10, fill=(25, 26, 28))
            draw.text(
                (x + 16, y + 14), WORDS[(row * 15 + column) % len(WORDS)][:2].upper(), (220, 220, 220), font
            )
    return noisy(image, 3)


def wicker(size: tuple[int, int] = (1000, 1000)) -> Image.Image:
    """A woven texture."""
    y, x = np.mgrid[0 : size[1], 0 : size[0]].astype(np.float32)
    wave = np.sin(x / 6) * np.sin(y / 6 + (x // 38 % 2) * np.pi / 2) + 0.4 * np.sin(y / 3)
    pixels = (140 + 60 * wave)[..., None] * np.array([1.0, 0.8, 0.55])
    return noisy(Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)), 5)


def noise(size: tuple[int, int] = (1000, 1000), seed: int = 7) -> Image.Image:
    """Colour noise, every pixel for itself."""
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), np.uint8))


def wordmark(size: tuple[int, int] = (1200, 500), text: str = "ACME") -> Image.Image:
    """A logo of a few letters beside a round mark."""
    image = Image.new("RGB", size, WHITE)
    draw = ImageDraw.Draw(image)
    draw.ellipse((60, 110, 340, 390), fill=(220, 40, 50))
    draw.text((420, 110), text, (25, 30, 60), ImageFont.load_default(260))
    return image


def boxed(print_height: int, size: tuple[int, int] = (1500, 1500)) -> Image.Image:
    """A product box on white with a printed text on a part of its front."""
    front = Image.new("RGB", (700, 900), (40, 120, 90))
    draw = ImageDraw.Draw(front)
    draw.text((60, 60), "TEA", WHITE, ImageFont.load_default(180))
    draw.ellipse((200, 280, 500, 560), fill=(230, 200, 60))
    write(front, (0.1, 0.68, 0.9, 0.95), print_height, ink=(240, 240, 240))
    image = Image.new("RGB", size, WHITE)
    image.paste(front, (400, 300))
    return noisy(image, 2)


def spectacles(size: tuple[int, int] = (1400, 700)) -> Image.Image:
    """Dark lenses, joined by a thin bridge alone."""
    mask = Image.new("L", size)
    draw = ImageDraw.Draw(mask)
    draw.ellipse((200, 200, 620, 520), fill=255)
    draw.ellipse((780, 200, 1200, 520), fill=255)
    draw.arc((600, 260, 800, 420), 190, 350, fill=255, width=14)
    return on(Image.new("RGB", size, WHITE), (shaded(mask, (60, 60, 70)), (0, 0)))


def pale_shoe(size: tuple[int, int] = (1400, 900)) -> Image.Image:
    """A white shoe on white, of which the dark sole and the dark collar stand out."""
    image = Image.new("RGB", size, WHITE)
    body = Image.new("L", size)
    draw = ImageDraw.Draw(body)
    draw.polygon([(250, 350), (600, 330), (1150, 560), (1150, 680), (250, 680)], fill=255)
    image = on(image, (shaded(body, (236, 236, 234)), (0, 0)))
    draw = ImageDraw.Draw(image)
    draw.rounded_rectangle((240, 680, 1170, 730), 20, fill=(40, 40, 42))
    draw.polygon([(260, 300), (560, 280), (600, 340), (260, 360)], fill=(45, 45, 50))
    return noisy(image, 2)


def lamp(size: tuple[int, int] = (900, 1500)) -> Image.Image:
    """A shade and a foot; the pole between them is as white as the wall."""
    mask = Image.new("L", size)
    draw = ImageDraw.Draw(mask)
    draw.polygon([(300, 150), (600, 150), (700, 480), (200, 480)], fill=255)
    draw.ellipse((300, 1280, 600, 1380), fill=255)
    return on(Image.new("RGB", size, WHITE), (shaded(mask, (190, 150, 110)), (0, 0)))


def book(share: float = 0.6) -> Image.Image:
    """A book on a table; a text fills its back, but not the picture."""
    image = noisy(gradient((1600, 1600), (210, 205, 200), (150, 140, 130)), 3)
    cover = Image.new("RGB", (round(1600 * share), 1200), (30, 60, 110))
    write(cover, (0.08, 0.25, 0.92, 0.85), 34, ink=(240, 240, 240), seed=2)
    ImageDraw.Draw(cover).text((60, 60), "A Title", WHITE, ImageFont.load_default(120))
    image.paste(cover, (800 - cover.width // 2, 200))
    return image
