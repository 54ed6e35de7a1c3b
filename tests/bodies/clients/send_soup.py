"""Uploads pictures as programs of GNOME do: `python3 send_soup.py libsoup URL FILE...`.

Prints the version, then the answer. It runs in the system's Python, which has the bindings.
"""

import sys
from pathlib import Path

import gi  # type: ignore[import-not-found]

gi.require_version("Soup", "3.0")
from gi.repository import GLib, Soup  # type: ignore[import-not-found]  # noqa: E402 - see above

_, url, *paths = sys.argv[1:]
form = Soup.Multipart.new(Soup.FORM_MIME_TYPE_MULTIPART)
form.append_form_string("metadata", '{"order": "Tür 7"}')
form.append_form_string("model", "")
form.append_form_string("no_cache", str(True))
for path in map(Path, paths):
    form.append_form_file("files", path.name, "image/png", GLib.Bytes.new(path.read_bytes()))
answer = Soup.Session().send_and_read(Soup.Message.new_from_multipart(url, form), None)
version = (Soup.get_major_version(), Soup.get_minor_version(), Soup.get_micro_version())
sys.stdout.write(f"libsoup {'.'.join(map(str, version))}\n{answer.get_data().decode()}")
