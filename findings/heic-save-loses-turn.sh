#!/bin/sh
# pillow-heif 1.8.1 writes a picture's EXIF orientation into a HEIC's EXIF alone, not as the container's turn (`irot`), and
# on reading says orientation 1 without turning anything. So a picture with orientation 6 that is saved as HEIC and read
# again lies on its side, and `exif_transpose` does not help. We had guessed a round trip as with AVIF, where Pillow 13.0.0
# writes the turn into the container and gives the tag back.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet pillow==13.0.0 pillow-heif==1.8.1
cat > "$folder/try.py" <<'PY'
import io

import pillow_heif
from PIL import Image, ImageOps

pillow_heif.register_heif_opener()
for name in ("AVIF", "HEIF"):
    exif = Image.Exif()
    exif[0x0112] = 6
    out = io.BytesIO()
    Image.new("RGB", (96, 64), "red").save(out, name, exif=exif)
    again = Image.open(io.BytesIO(out.getvalue()))
    tag, turned = again.getexif().get(0x0112), ImageOps.exif_transpose(again).size
    print(name, "irot:", b"irot" in out.getvalue(), "size:", again.size, "tag:", tag, "transposed:", turned)
PY
"$folder/env/bin/python" "$folder/try.py" | tee "$folder/seen"
cat > "$folder/expected" <<'TEXT'
AVIF irot: True size: (96, 64) tag: 6 transposed: (64, 96)
HEIF irot: False size: (96, 64) tag: 1 transposed: (96, 64)
TEXT
diff "$folder/expected" "$folder/seen"
