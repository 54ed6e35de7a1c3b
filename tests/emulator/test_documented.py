"""The page on the emulator names every fault, every flag and every value."""

from pathlib import Path
from typing import get_args

from fal_emulator import control_routes, endpoint_routes
from fal_emulator.endpoints.row import Endpoint, Fact, Field, File, Group, Kind, Output, Role
from fal_emulator.faults import KINDS
from fal_emulator.program import parser

PAGE = (Path(__file__).parents[2] / "docs" / "emulator.md").read_text()


def test_every_fault_is_on_the_page() -> None:
    assert [kind for kind in KINDS if f"`{kind}`" not in PAGE] == []


def test_the_words_of_every_value_are_on_the_page() -> None:
    words = {word for kind in KINDS.values() if kind.value for word in kind.value.expected.split("|")}

    assert [word for word in words - {"N", "SECONDS"} if f"`{word}`" not in PAGE] == []


def test_every_part_of_a_row_is_on_the_page() -> None:
    parts = {name for row in (Endpoint, Field, Output) for name in row.__struct_fields__} - {"id"}
    words = {str(word) for part in (Kind, Role, File, Group, Fact) for word in get_args(part)}

    assert [word for word in parts | words if f"`{word}`" not in PAGE] == []


def test_every_route_of_the_control_is_on_the_page() -> None:
    routes = [*control_routes.ROUTES, *endpoint_routes.ROUTES]

    assert [route.path for route in routes if route.path.replace(":path", "") not in PAGE] == []


def test_every_flag_of_the_faults_is_on_the_page() -> None:
    flags = {"--fault", "--model-file", "--elsewhere", "--slow-transfer", "--schema-seed"}

    assert flags <= {option for action in parser()._actions for option in action.option_strings}
    assert [flag for flag in flags if flag not in PAGE] == []
