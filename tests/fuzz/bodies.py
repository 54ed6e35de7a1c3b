"""Multipart bodies for fuzzing: well-formed ones, and what an enemy makes of them.

Who calls it: the property tests and the coverage-guided run.
"""

import json

from hypothesis import strategies as st

from tests.support.multipart_body import BOUNDARY, Body
from tests.support.sketches import picture

GOOD_PICTURES = tuple(picture(seed, (16, 12), fmt=fmt) for seed, fmt in enumerate(("PNG", "JPEG", "WEBP")))
_OBJECTS = ("a", "b", "\u202e", "a b", "é", "x" * 90)
_SIDES = ("front", "back", "left", "top", "rear", "")
_PLACES = ("objects[a]", "objects[a][front]", "objects[a][back]", "objects[b][front]")
_NAMES = (
    *("files", "model", "params", "priority", "no_cache", "on_invalid", "face_limit", "webhook_url", "x"),
    *_PLACES,
    *("objects", "objects[]", "objects[a][rear]", "objects[a][front][x]", "objects[[a]]", "manifest"),
)
_ODD_NAMES = (
    *("../../etc/passwd", "a\u202egpj.exe", "nul\x00.png", "C:\\x\\y.png", "\r\n", '"', ";", "%00", "é"),
    "a" * 5000,
)

_filename = st.one_of(st.sampled_from(_ODD_NAMES), st.text(max_size=40))
_disposition = st.builds(
    lambda name, filename: f'form-data; name="{name}"' + (f'; filename="{filename}"' if filename else ""),
    st.one_of(
        st.sampled_from(_NAMES), st.text(max_size=20), st.builds("objects[{}]".format, st.text(max_size=9))
    ),
    st.one_of(st.none(), _filename),
)
_content = st.one_of(st.sampled_from(GOOD_PICTURES), st.binary(max_size=400))
_header = st.one_of(
    st.just(b""),
    st.just(b"Content-Type: image/png\r\n"),
    st.just(b"Content-Length: -1\r\n"),
    st.binary(max_size=60),
)
_json = st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=9), st.lists, max_leaves=4)
_view = st.fixed_dictionaries(
    {"part": st.one_of(st.integers(-1, 5), _json)},
    optional={"side": st.one_of(st.sampled_from(_SIDES), _json)},
)
_object = st.fixed_dictionaries(
    {},
    optional={
        "name": st.one_of(st.sampled_from(_OBJECTS), _json),
        "views": st.one_of(st.lists(_view, max_size=9), _json),
        "metadata": st.one_of(st.dictionaries(st.text(max_size=5), _json, max_size=2), _json),
    },
)
_members = st.fixed_dictionaries(
    {},
    optional={
        "objects": st.one_of(st.lists(_object, max_size=3), _json),
        "files": st.lists(_view, max_size=3),
    },
)
manifests = st.one_of(_members.map(json.dumps), _json.map(json.dumps), st.text(max_size=200))
"""Any manifest: most of them nearly right."""
_manifest_part = manifests.map(
    lambda text: (
        b'--%b\r\nContent-Disposition: form-data; name="manifest"\r\n\r\n%b\r\n'
        % (BOUNDARY.encode(), text.encode("utf-8", "replace"))
    )
)
_part = st.builds(
    lambda disposition, header, content: (
        b"--%b\r\nContent-Disposition: %b\r\n%b\r\n%b\r\n"
        % (BOUNDARY.encode(), disposition.encode("utf-8", "replace"), header, content)
    ),
    _disposition,
    _header,
    _content,
)
_end = st.sampled_from([f"--{BOUNDARY}--\r\n".encode(), f"--{BOUNDARY}--".encode(), b"", b"--\r\n"])


@st.composite
def _damaged(draw: st.DrawFn) -> bytes:
    body = bytearray(
        b"".join(draw(st.lists(st.one_of(_part, _part, _part, _manifest_part), max_size=5))) + draw(_end)
    )
    for at, value in draw(st.lists(st.tuples(st.integers(0, 1 << 14), st.binary(max_size=6)), max_size=4)):
        place = at % (len(body) + 1)
        body[place : place + len(value) // 2] = value
    return bytes(body)


@st.composite
def _objects(draw: st.DrawFn) -> bytes:
    """A form that is right but for what it says of objects."""
    body = Body()
    for place in draw(st.lists(st.sampled_from(("files", *_PLACES)), min_size=1, max_size=6)):
        disposition = f'Content-Disposition: form-data; name="{place}"; filename="v.png"'
        body.part(disposition, draw(st.sampled_from(GOOD_PICTURES)))
    if draw(st.booleans()):
        at = draw(st.integers(0, len(body.parts)))
        body.parts.insert(at, Body().text("manifest", json.dumps(draw(_members))).open_ended())
    return bytes(body)


bodies = st.one_of(_damaged(), _damaged(), _objects(), st.binary(max_size=2000))
"""Any body: most of them nearly right."""


@st.composite
def _damaged_picture(draw: st.DrawFn) -> bytes:
    data = bytearray(draw(st.sampled_from(GOOD_PICTURES)))
    for at, value in draw(st.lists(st.tuples(st.integers(0, 1 << 14), st.binary(max_size=8)), max_size=5)):
        place = at % (len(data) + 1)
        data[place : place + draw(st.integers(0, 8))] = value
    return bytes(data[: draw(st.integers(0, len(data)))]) if draw(st.booleans()) else bytes(data)


pictures = st.one_of(_damaged_picture(), st.binary(max_size=400))
"""Any file: most of them nearly a picture."""
