#!/bin/sh
# Pillow 13.0.0 writes a picture's EXIF orientation into an AVIF as the container's own turn (`irot`), which is right, and
# takes the tag out of the Exif object that the caller passed. We had guessed that a save changes nothing of its caller's.
# A program that saves the same picture as AVIF and then as JPEG, with one Exif object, gets a JPEG that is not turned.
# Other formats leave the object as it was.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet pillow==13.0.0
cat > "$folder/try.py" <<'PY'
import io

from PIL import Image

ORIENTATION = 0x0112
exif = Image.Exif()
exif[ORIENTATION] = 6
picture = Image.new("RGB", (96, 64), "red")
for name in ("PNG", "WEBP", "TIFF", "AVIF", "JPEG"):
    out = io.BytesIO()
    picture.save(out, name, exif=exif)
    written = Image.open(io.BytesIO(out.getvalue())).getexif().get(ORIENTATION)
    print(name, "written:", written, "caller's tag afterwards:", exif.get(ORIENTATION))
PY
"$folder/env/bin/python" "$folder/try.py" | tee "$folder/seen"
cat > "$folder/expected" <<'TEXT'
PNG written: 6 caller's tag afterwards: 6
WEBP written: 6 caller's tag afterwards: 6
TIFF written: 6 caller's tag afterwards: 6
AVIF written: 6 caller's tag afterwards: None
JPEG written: None caller's tag afterwards: None
TEXT
diff "$folder/expected" "$folder/seen"
