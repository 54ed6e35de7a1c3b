"""No script may name keys of the home cell and of a job's cell.

Those that still do are listed here, and the list only shrinks: a crossing that is gone must leave it.
ARCHITECTURE.md, "Cells", says what each becomes.
"""

from importlib import resources
from typing import Final, NamedTuple

import pytest

from image2model.store.keys import KEYS, Place
from image2model.store.scripts import LIBRARY, Script, key_names, library, link


class Crossing(NamedTuple):
    """Keys of the home cell, and the scripts that name one of them beside keys of a job's cell."""

    keys: frozenset[str]
    scripts: frozenset[str]


MOVES: Final = frozenset(
    {
        "fetching/fail_fetch",
        "generation/advance",
        "generation/await_confirmation",
        "generation/commit_submission",
        "generation/not_sent",
        "generation/step",
        "generation/try_again",
        "jobs/cancel_job",
        "jobs/confirm_image",
        "jobs/retry_images",
        "operations/fail_unfinished",
        "queue/expire_confirmations",
        "queue/maintain_endpoints",
        "queue/pick",
        "queue/release_task",
        "queue/repair_job",
        "queue/sweep_leases",
    }
)
"""The scripts that move an image."""

AT_ONCE: Final = frozenset({"jobs/create_jobs_at_once"})
"""While processes of data version 4 run, which no cluster has."""

CROSSINGS: Final = {
    "credentials": Crossing(
        frozenset({"api_key", "session"}),
        AT_ONCE | {"access/look_up", "jobs/reserve_jobs", "jobs/retry_images"},
    ),
    # what an owner may begin is decided where the share of the only cell is read
    "budgets": Crossing(
        frozenset({"owner_reservations", "address_reservations", "reservation", "reservations"}),
        AT_ONCE
        | {
            "access/read_usage",
            "generation/advance",
            "generation/try_again",
            "jobs/reserve_jobs",
            "jobs/retry_images",
        },
    ),
    "idempotency keys": Crossing(
        frozenset({"idempotency"}), AT_ONCE | {"jobs/confirm_image", "jobs/reserve_jobs"}
    ),
    "job lists": Crossing(
        frozenset({"owner_jobs", "owner_metadata", "owners"}), AT_ONCE | {"jobs/reserve_jobs"}
    ),
    "fair order": Crossing(
        frozenset({"turn", "low_turn", "owner_turn", "owner_low_turn"}),
        AT_ONCE | {"jobs/confirm_image", "jobs/reserve_jobs", "jobs/retry_images", "queue/take_permits"},
    ),
    "window": Crossing(
        frozenset({"fal_running", "fal_waiting", "fal_window", "fal_endpoints", "fal_ended", "window_told"}),
        MOVES
        | {
            "jobs/erase_job",
            "operations/erase_expired",
            "queue/count_endpoint_fault",
            "queue/learn_window",
            "queue/refresh_waiting",
            "queue/release_unused_permits",
            "queue/take_permits",
        },
    ),
    "circuits": Crossing(
        frozenset({"circuit", "endpoint", "endpoints", "endpoints_failing", "endpoints_refused"}),
        frozenset(
            {
                "generation/advance",
                "generation/commit_submission",
                "generation/step",
                "generation/try_again",
                "queue/count_endpoint_fault",
                "queue/maintain_endpoints",
                "queue/note_endpoint_result",
                "queue/pick",
                "queue/read_fleet",
                "queue/refresh_waiting",
                "queue/release_task",
                "queue/release_unused_permits",
                "queue/repair_job",
                "queue/take_permits",
            }
        ),
    ),
    "reuse": Crossing(
        frozenset({"reuse", "cutout"}),
        MOVES | {"generation/no_reuse", "jobs/erase_job", "operations/erase_expired"},
    ),
    "fleet": Crossing(
        frozenset({"losses", "readers"}), frozenset({"queue/read_fleet", "store/negotiate_version"})
    ),
}
IN_A_NEW_STORE: Final = frozenset({"workers", "worker"})
"""`make_store` looks for old workers in whichever script comes first in a store without an id."""


def scripts() -> list[str]:
    """The names of all scripts. The library's files are no scripts."""
    found = []
    for package in resources.files("image2model").iterdir():
        lua = package.joinpath("lua")
        if package.name != "__pycache__" and lua.is_dir():
            found += [f"{package.name}/{file.name.removesuffix('.lua')}" for file in lua.iterdir()]
    return sorted(set(found) - {f"store/{name}" for name in LIBRARY})


def home_keys_beside_cell_keys(text: str) -> frozenset[str]:
    """The home cell's keys in a linked script that also names keys of a job's cell, or ARQ's."""
    names = key_names(text)
    cell = {name for name in names if KEYS[name].place is Place.CELL}
    if not cell and "\nlocal ARQ_" not in f"\n{text}":
        return frozenset()
    return frozenset({name for name in names if KEYS[name].place is Place.HOME}) - IN_A_NEW_STORE


def test_only_listed_scripts_cross() -> None:
    listed = {script: set[str]() for crossing in CROSSINGS.values() for script in crossing.scripts}
    for crossing in CROSSINGS.values():
        for script in crossing.scripts:
            listed[script] |= crossing.keys
    crossing_now = {name: home_keys_beside_cell_keys(Script(name).load()) for name in scripts()}
    more = {name: keys for name, keys in crossing_now.items() if keys - listed.get(name, set())}
    assert more == {}


@pytest.mark.long
@pytest.mark.parametrize("concept", CROSSINGS)
def test_list_names_no_crossing_that_is_gone(concept: str) -> None:
    crossing = CROSSINGS[concept]
    found = {name: home_keys_beside_cell_keys(Script(name).load()) & crossing.keys for name in scripts()}
    assert {name for name, keys in found.items() if keys} == crossing.scripts
    assert frozenset().union(*found.values()) == crossing.keys


def test_crossing_is_found_through_the_library() -> None:
    assert home_keys_beside_cell_keys(link(library(), "return next_start_tag('ann', false)")) == frozenset()
    crossing = home_keys_beside_cell_keys(link(library(), "move('x', next_start_tag('ann', false), {}, 0)"))
    assert crossing >= {"turn", "owner_turn", "fal_window", "reuse"}


def test_keys_of_arq_lie_in_the_cell_of_the_job() -> None:
    body = "return call('ZSCORE', ARQ_QUEUE .. 'x', call('GET', K.turn()))"
    assert home_keys_beside_cell_keys(link(library(), body)) == {"turn"}


def test_every_script_is_looked_at() -> None:
    assert {"queue/pick", "jobs/create_job", "store/read_job", "access/look_up"} <= set(scripts())
    assert not {"store/accounts", "store/base", "store/images"} & set(scripts())
