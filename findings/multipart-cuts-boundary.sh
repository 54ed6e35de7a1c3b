#!/bin/sh
# `parse_options_header` of multipart 2.0.1 (PyPI) ends a value without quotes at the first character that is no token
# character, and says nothing: of `boundary=a/b` it gives "a", and of `boundary===12==` no boundary at all. RFC 2046 wants
# quotes there, but senders leave them out (Python 2's email, among others). We had guessed the rest of the header up to
# the semicolon, as Python's own email package gives it, or an error.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet multipart==2.0.1
cat > "$folder/try.py" <<'PY'
from email.message import Message
from importlib.metadata import version

from multipart import parse_options_header

print("multipart", version("multipart"))
for boundary in ('"a/b"', "a/b", "a:b?c", "===12=="):
    header = f"multipart/form-data; boundary={boundary}; charset=utf-8"
    message = Message()
    message["Content-Type"] = header
    print(boundary, parse_options_header(header)[1].get("boundary"), message.get_param("boundary"))
PY
"$folder/env/bin/python" "$folder/try.py" | tee "$folder/seen"
cat > "$folder/expected" <<'TEXT'
multipart 2.0.1
"a/b" a/b a/b
a/b a a/b
a:b?c a a:b?c
===12== None ===12==
TEXT
diff "$folder/expected" "$folder/seen"
