"""The lint rule for decoders: what it finds, what it lets pass, and that the source has none of it."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TOOL = ROOT / "tools/check_decoders.py"

REFUSED = [
    "def f(x):\n    return msgspec.json.decode(x, type=T)",
    "def f(x):\n    return msgspec.msgpack.decode(x, type=list[T])",
    "from msgspec.json import decode\ndef f(x):\n    return decode(x, type=T)",
    "async def f(x):\n    return msgspec.json.Decoder(T).decode(x)",
    "from msgspec.msgpack import Decoder\nclass A:\n    def f(self, x):\n        return Decoder(T)",
    "import msgspec\ndef f(x):\n    return msgspec.convert(x, T)",
    "import msgspec as m\ndef f(x):\n    return m.convert(x, type=T)",
    "from msgspec import convert\nf = lambda x: convert(x, T)",
    "def f():\n    def g(x):\n        return msgspec.json.decode(x, type=T)\n    return g",
    "def f(x):\n    return [msgspec.json.decode(one, type=T) for one in x]",
    "def f(x):\n    return partial(msgspec.json.decode, type=T)",
    "@cache\ndef f():\n    return msgspec.json.Decoder(T)",
]
ALLOWED = [
    "_decoder = msgspec.json.Decoder(T)\ndef f(x):\n    return _decoder.decode(x)",
    "BY_TYPE = {one: msgspec.json.Decoder(one) for one in TYPES}\ndef f(x, t):\n    return BY_TYPE[t]",
    "def f(x):\n    return msgspec.json.decode(x)",
    "def f(x, decode=msgspec.json.Decoder(T).decode):\n    return decode(x)",
    "import msgspec\ndef f(x):\n    return msgspec.convert(x, dict)",
    "def f(image):\n    return image.convert('RGB')",
    "def f(x):\n    return x.decode('utf-8')",
    "class A:\n    decode = msgspec.json.Decoder(T).decode",
]


def checked(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, TOOL, folder], capture_output=True, text=True, check=False, timeout=60
    )


@pytest.mark.parametrize("source", REFUSED)
def test_decoder_of_a_call_is_found(source: str, tmp_path: Path) -> None:
    (tmp_path / "module.py").write_text(source)
    done = checked(tmp_path)
    assert done.returncode == 1
    (line,) = done.stdout.splitlines()
    assert line.startswith(f"{tmp_path}/module.py:")


@pytest.mark.parametrize("source", ALLOWED)
def test_decoder_of_the_import_passes(source: str, tmp_path: Path) -> None:
    (tmp_path / "module.py").write_text(source)
    assert checked(tmp_path).returncode == 0


def test_commands_of_the_client_may(tmp_path: Path) -> None:
    for folder in ("cli", "client"):
        place = tmp_path / "image2model" / folder
        place.mkdir(parents=True)
        (place / "module.py").write_text(REFUSED[0])
    assert checked(tmp_path).returncode == 0


@pytest.mark.long
def test_the_source_has_none() -> None:
    done = checked(ROOT / "src")
    assert done.stdout == ""
    assert done.returncode == 0
