"""Lists of addresses on the command line, by the real service: made once, found again, and shown nowhere."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import click
import pytest

from image2model.cli.submit.lists import read_lists
from image2model.client import Address, Client, Object, Picture, View
from tests.cli.conftest import Run, draw
from tests.support.command import environment
from tests.support.emulator_process import EmulatorProcess
from tests.support.sketches import picture

SECRET = "Sig41ab99OfAnAddressXYZ"
AddressOf = Callable[[str], str]


class _Handler(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Nothing on the test's output."""


@pytest.fixture
def address(tmp_path: Path) -> Iterator[AddressOf]:
    """The signed address of a picture that is drawn for it."""
    folder = tmp_path / "web"
    folder.mkdir()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, directory=folder))
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()

    def address_of(name: str) -> str:
        if not name.startswith("missing"):
            draw(folder / name, name)
        return f"http://127.0.0.1:{server.server_port}/{name}?signature={SECRET}"

    yield address_of
    server.shutdown()
    thread.join()
    server.server_close()


def saved(tmp_path: Path) -> list[str]:
    """The models' names."""
    return sorted(path.name for path in (tmp_path / "models").rglob("*.glb"))


@pytest.mark.long
def test_lists_and_pictures_become_models_once(
    run: Run, tmp_path: Path, address: AddressOf, emulator: EmulatorProcess
) -> None:
    draw(tmp_path / "local.png", "local")
    lines = ["# ours", address("chair.png"), "", "local.png"]
    (tmp_path / "list.txt").write_text("\n".join(lines))
    rows = ["url,filename,sku", f"{address('lamp.png')},lamp one.png,L-1", f"{address('sub.png')},chair.png,"]
    (tmp_path / "list.csv").write_text("\n".join(rows), "utf-8-sig")
    quoted = run("quote", "list.txt", "list.csv")
    assert quoted.returncode == 0, quoted.stdout + quoted.stderr
    assert emulator.submissions() == []
    done = run("submit", "list.txt", "list.csv")
    assert done.returncode == 0, done.stdout + done.stderr
    assert saved(tmp_path) == ["chair-2.glb", "chair.glb", "lamp one.glb", "local.glb"]
    assert len(emulator.submissions()) == 4
    again = run("submit", "list.txt", "list.csv")
    assert (again.returncode, len(emulator.submissions())) == (0, 4), again.stdout + again.stderr
    assert "4 done before" in again.stdout
    found = json.loads(run("jobs", "--metadata", "sku=L-1", "--json").stdout)["jobs"]
    assert len(found) == 1
    for output in (quoted, done, again):
        assert SECRET not in output.stdout + output.stderr
    assert not [path for path in tmp_path.rglob("*.db") if SECRET.encode() in path.read_bytes()]


@pytest.mark.long
def test_killed_run_is_picked_up(
    run: Run, tmp_path: Path, settings: dict[str, str], address: AddressOf, emulator: EmulatorProcess
) -> None:
    (tmp_path / "list.txt").write_text("\n".join(address(f"{number}.png") for number in range(6)))
    command = [sys.executable, "-m", "image2model", "submit", "list.txt", "--variants", "2", "--json"]
    first = subprocess.Popen(
        command, cwd=tmp_path, env=environment(**settings), stdout=subprocess.PIPE, text=True
    )
    assert first.stdout is not None
    assert any(json.loads(line)["type"] == "outcome" for line in iter(first.stdout.readline, ""))
    first.kill()
    first.communicate(timeout=60)
    done = run("submit", "list.txt", "--variants", "2")
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(saved(tmp_path)) == len(emulator.submissions()) == 12


def test_address_that_cannot_be_fetched_fails_alone(run: Run, tmp_path: Path, address: AddressOf) -> None:
    (tmp_path / "list.txt").write_text(f"{address('missing.png')}\n{address('here.png')}\n")
    done = run("submit", "list.txt")
    assert done.returncode == 1
    assert "answered 404" in done.stdout
    assert saved(tmp_path) == ["here.glb"]
    assert SECRET not in done.stdout + done.stderr


def test_python_client_sends_addresses_and_bytes(settings: dict[str, str], address: AddressOf) -> None:
    with Client(settings["I2M_URL"]) as client:
        pictures: list[Address | Picture | Object] = [
            Address(address("a.png"), "named.png", {"sku": "A-1"}),
            Picture.from_bytes("b.png", picture(7)),
            Object(
                "chair",
                [View(Address(address("front.png")), "front"), View(Address(address("back.png")), "back")],
            ),
        ]
        model = "fal-ai/hunyuan3d-v3/image-to-3d"
        quoted = client.quote(pictures, model=model)
        assert [image.ok for image in quoted.images] == [True] * 3
        job = client.submit(pictures, model=model, variants=1)
        assert [image.filename for image in job.images] == ["named.png", "b.png", "chair"]
        assert [image.size is None for image in job.images] == [True, False, True]
        for _ in client.events(job.job_id):
            pass
        job = client.job(job.job_id)
        assert (job.status, job.images[0].metadata) == ("succeeded", {"sku": "A-1"})
        assert all(image.sha256 and image.size for image in job.images)
    assert SECRET not in repr(pictures)


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        (
            "list.txt",
            f"https://example.com/a.png\nftp://example.com/{SECRET}\n",
            "line 2: must begin with https://",
        ),
        ("list.txt", f"nowhere-{SECRET}.png\n", "line 1: is neither an address"),
        ("list.txt", f"http://[{SECRET}/a.png\n", "line 1: is no valid address"),
        ("list.csv", f"address\nhttps://example.com/{SECRET}\n", "needs a first line with the column `url`"),
        ("list.csv", f"url,my column\nhttps://example.com/{SECRET},x\n", "has a column 'my column'"),
    ],
)
def test_wrong_list_is_refused_by_its_line(tmp_path: Path, name: str, text: str, words: str) -> None:
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(click.UsageError) as refused:
        read_lists([path])
    assert words in refused.value.message
    assert SECRET not in refused.value.message


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("URL;FileName\nhttps://e.com/a.png;b.png\n", ["b.png"]),
        ("url\tfilename\r\nhttps://e.com/dir/a%20b.png\t\r\n", ["a b.png"]),
        ('filename,url\n"a, ""b"".png",https://e.com/x?y=1\n', ['a, "b".png']),
        ("url\nhttps://e.com/\nhttps://e.com/ä.png\n", ["picture", "ä.png"]),
    ],
)
def test_tables_as_spreadsheets_write_them(tmp_path: Path, text: str, names: list[str]) -> None:
    path = tmp_path / "list.csv"
    path.write_text(text)
    assert [found.given.name for found in read_lists([path]).addressed] == names
