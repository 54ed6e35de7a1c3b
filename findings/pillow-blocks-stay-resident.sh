#!/bin/sh
# Pillow 13.0.0 takes the memory of a picture in blocks of at most 16 MiB. glibc's malloc counts those as ordinary ones as
# soon as the first was freed, so after pictures that a thread has decoded and dropped, most of the memory stays with the
# process: 370 MB after three pictures of 48 megapixels that no longer exist. We had guessed that so large a picture is
# mapped, and given back when it is freed. With PILLOW_BLOCK_SIZE=64m, above malloc's largest threshold, it is.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet pillow==13.0.0
cat > "$folder/try.py" <<'PY'
import resource
import sys
from threading import Thread

from PIL import Image

SIZE = (8000, 6000)
ONE = 4 * SIZE[0] * SIZE[1] / 2**20  # Pillow keeps RGB in four bytes a pixel


def resident():
    return int(open("/proc/self/statm").read().split()[1]) * resource.getpagesize() / 2**20


def turn():
    Image.new("RGB", SIZE, "red").transpose(Image.Transpose.ROTATE_90)


before = resident()
for _ in range(3):
    thread = Thread(target=turn)
    thread.start()
    thread.join()
kept = resident() - before
print(sys.argv[1], "one picture:", round(ONE), "MiB; kept after three:", "more" if kept > ONE else "less than a tenth" if kept < ONE / 10 else "less")
print(f"{kept:.0f} MiB", file=sys.stderr)
PY
"$folder/env/bin/python" "$folder/try.py" "default blocks:" | tee "$folder/seen"
PILLOW_BLOCK_SIZE=64m "$folder/env/bin/python" "$folder/try.py" "blocks of 64 MiB:" | tee -a "$folder/seen"
cat > "$folder/expected" <<'TEXT'
default blocks: one picture: 183 MiB; kept after three: more
blocks of 64 MiB: one picture: 183 MiB; kept after three: less than a tenth
TEXT
diff "$folder/expected" "$folder/seen"
