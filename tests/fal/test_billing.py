"""What a request costs by what FAL says of it."""

import math

import pytest

from image2model.fal.prices import Bill, bill, billable_units
from tests.support.endpoints import endpoint_of

TRIPO = endpoint_of("tripo3d/tripo/v2.5/image-to-3d")  # $0.30, in HD $0.40
SAM = endpoint_of("fal-ai/sam-3/3d-objects")  # $0.02 a unit, no price


@pytest.mark.parametrize(
    ("units", "unit_price", "expected"),
    [
        (1.0, 0.3, Bill(300_000)),
        (3.0, 0.1, Bill(300_000)),
        (2.5, 0.3, Bill(750_000)),
        (0.5, 0.3, Bill(150_000)),
        (None, 0.3, Bill(300_000)),
        (1.0, None, Bill(300_000)),
        (None, None, Bill(300_000)),
        (0.49, 0.3, Bill(300_000, uncertain=True, mismatch=True)),
        (0.0, 0.3, Bill(300_000, uncertain=True, mismatch=True)),
        (3.0, 0.00001, Bill(300_000, uncertain=True, mismatch=True)),
        (900_000.0, 0.3, Bill(300_000, uncertain=True, mismatch=True)),
        (1.0, 1e300, Bill(300_000, uncertain=True, mismatch=True)),
        (math.nan, 0.3, Bill(300_000)),
        (math.inf, 0.3, Bill(300_000)),
        (-1.0, 0.3, Bill(300_000)),
        (1e9, 0.3, Bill(300_000)),
    ],
)
def test_result_costs_units_times_price_unless_the_table_contradicts(
    units: float | None, unit_price: float | None, expected: Bill
) -> None:
    assert bill(TRIPO, {}, units, unit_price) == expected


@pytest.mark.parametrize(
    ("units", "unit_price", "expected"),
    [
        (7.0, 0.02, Bill(140_000)),
        (0.1, 0.02, Bill(2_000)),
        (None, 0.02, Bill(20_000, uncertain=True)),
        (7.0, None, Bill(20_000, uncertain=True)),
        (900_000.0, 0.3, Bill(20_000, uncertain=True, mismatch=True)),
    ],
)
def test_run_without_a_price_in_the_table_costs_what_fal_says_or_what_is_set_aside(
    units: float | None, unit_price: float | None, expected: Bill
) -> None:
    assert bill(SAM, {}, units, unit_price) == expected


def test_parameters_count() -> None:
    assert bill(TRIPO, {"texture": "HD"}, None, None) == Bill(400_000)


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("1", 1.0),
        ("0", 0.0),
        ("2.5", 2.5),
        *((said, None) for said in ("nan", "inf", "-1", "1e9", "", "one", "1,5")),
    ],
)
def test_units_are_believed_only_where_they_make_sense(said: str, expected: float | None) -> None:
    assert billable_units({"x-fal-billable-units": said}) == expected


def test_no_header_is_no_word() -> None:
    assert billable_units({}) is None
