"""`image2model keys` as a process: in the store itself, and over HTTP."""

import msgspec
import pytest

from image2model.up.store import EmbeddedStore
from tests.support.callers import ADMIN, Caller
from tests.support.command import Done, run_command
from tests.support.served_api import Service


def run(*arguments: str, **environment: str) -> Done:
    return run_command("keys", *arguments, folder=None, **environment)


def test_first_key_comes_from_the_store_and_opens_the_service(
    service: Service, valkey: EmbeddedStore
) -> None:
    here = {"I2M_REDIS_URL": valkey.url}
    made = run(
        "create", "--name", "shop", "--rate", "5/min", "--budget", "25.00/month", "--expires", "90d", **here
    )
    assert made.returncode == 0, made.stderr
    caller = Caller(service, made.stdout.strip())
    assert caller.get("session").status == 200
    listed = run("list", "--json", **here)
    (row,) = msgspec.json.decode(listed.stdout, type=list[dict[str, object]])
    assert (row["name"], row["rate"], row["budget"]) == ("shop", "5/min", "25.00/month")
    assert caller.key not in listed.stdout
    assert run("revoke", str(row["prefix"]), **here).returncode == 0
    assert caller.get("session").status == 401
    assert "revoked" in run("list", COLUMNS="200", **here).stdout


def test_list_that_is_piped_has_each_key_on_one_line(valkey: EmbeddedStore) -> None:
    made = run("create", "--name", "a name that is as long as a narrow screen is wide", "--json",
               "--budget", "25.00/month", I2M_REDIS_URL=valkey.url)  # fmt: skip
    document = msgspec.json.decode(made.stdout, type=dict[str, str | int | None])
    lines = run("list", I2M_REDIS_URL=valkey.url).stdout.splitlines()
    assert len(lines) == 2
    assert str(document["key_id"]) in lines[1]
    assert "25.00/month" in lines[1]


def test_help_says_what_happens_without_an_address() -> None:
    said = " ".join(run("list", "--help").stdout.split())
    assert "default: the store itself" in said
    assert "127.0.0.1:8000" not in said


def test_admin_makes_keys_over_http(service: Service) -> None:
    there = ("--url", service.address.url, "--key", ADMIN)
    made = run("create", "--name", "root", "--role", "admin", "--json", *there)
    assert made.returncode == 0, made.stderr
    document = msgspec.json.decode(made.stdout, type=dict[str, object])
    assert Caller(service, str(document["key"])).get("admin/keys").status == 200
    assert run("revoke", str(document["key_id"]), *there).returncode == 0
    assert Caller(service, str(document["key"])).get("admin/keys").status == 401


@pytest.mark.parametrize("arguments", [("create", "--name", "a", "--rate", "fast"), ("revoke", "nobody")])
def test_what_cannot_be_done_is_said(valkey: EmbeddedStore, arguments: tuple[str, ...]) -> None:
    failed = run(*arguments, I2M_REDIS_URL=valkey.url)
    assert failed.returncode == 1
    assert failed.stderr.startswith("image2model: ")
