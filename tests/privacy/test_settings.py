"""The settings of privacy at FAL, and what they exclude."""

import pytest

from image2model.errors import ConfigurationError
from image2model.settings import load


def problems(**given: str) -> str:
    with pytest.raises(ConfigurationError) as raised:
        load(given)
    return "\n".join(raised.value.problems)


def test_default_needs_nothing() -> None:
    settings = load({})
    assert (settings.fal_privacy, settings.fal_retention, settings.deletes_at_fal) == (
        "default",
        7 * 86_400,
        False,
    )
    assert load({"I2M_RESULTS": "redirect"}).results == "redirect"


@pytest.mark.parametrize("privacy", ["expire", "private"])
def test_redirect_and_privacy_exclude_each_other(privacy: str) -> None:
    told = problems(I2M_FAL_PRIVACY=privacy, I2M_RESULTS="redirect", I2M_FAL_ADMIN_KEY="admin:x")
    assert told.startswith("I2M_RESULTS: ")
    assert privacy in told


def test_private_needs_an_admin_key() -> None:
    assert problems(I2M_FAL_PRIVACY="private").startswith("I2M_FAL_ADMIN_KEY: ")
    assert load({"I2M_FAL_PRIVACY": "private", "I2M_FAL_ADMIN_KEY": "admin:x"}).deletes_at_fal
    assert not load({"I2M_FAL_PRIVACY": "expire"}).deletes_at_fal


@pytest.mark.parametrize("retention", ["23h", "1s"])
def test_retention_is_a_day_at_least(retention: str) -> None:
    assert "I2M_FAL_RETENTION" in problems(I2M_FAL_PRIVACY="expire", I2M_FAL_RETENTION=retention)
    assert load({"I2M_FAL_RETENTION": retention}).fal_privacy == "default"
    assert load({"I2M_FAL_PRIVACY": "expire", "I2M_FAL_RETENTION": "24h"}).fal_retention == 86_400
