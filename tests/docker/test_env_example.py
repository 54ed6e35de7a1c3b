"""`docker/env.example` lists the containers' variables with their defaults, and through them each setting."""

import re
from typing import Final

import yaml

from image2model.settings import SETTINGS, load
from tests.support.compose import COMPOSE, ROOT, compose

EXAMPLE: Final = ROOT / "docker/env.example"
SET_BY_THE_CONTAINERS: Final = {
    "I2M_REDIS_URL": "made from the password",
    "I2M_HOST": "the image",
    "I2M_PORT": "the image",
    "I2M_DATA_DIR": "the image",
    "I2M_LOG_FORMAT": "the image",
    "I2M_TRUSTED_PROXIES": "the network of nginx",
    "I2M_WORKER_METRICS_PORT": "Prometheus asks it",
    "I2M_URL": "for clients",
    "I2M_API_KEY": "for clients",
}
"""Settings that nobody may set in `.env`, and why."""
OF_THE_ENGINE: Final = {"I2M_WORKERS"}
"""Settings of `up` that compose.yaml reads itself."""
NO_DEFAULT: Final = {
    "I2M_FAL_BASE_URL": "http://fal-emulator:8001",
}
"""Examples where the variable has no default."""


def listed() -> dict[str, str]:
    """Each variable of the example with its value, commented out or not."""
    found = re.findall(r"^#?([A-Z][A-Z0-9_]+)=(.*)$", EXAMPLE.read_text(), re.MULTILINE)
    assert len(found) == len(dict(found)), "a variable is listed twice"
    return dict(found)


def taken() -> dict[str, str]:
    """Each variable that the compose files take, with its default; empty where it must be set or has none."""
    files = (COMPOSE, *sorted(ROOT.glob("docker/compose.*.yaml")))
    text = "\n".join(path.read_text() for path in files)
    defaults = {
        name: word if kind == "-" else ""
        for name, kind, word in re.findall(r"\$\{(\w+)(?::([-?])([^}]*))?\}", text)
    }
    settings = {setting.name: setting.default or "" for setting in SETTINGS}
    for service in yaml.safe_load(COMPOSE.read_text())["services"].values():
        for name, value in service.get("environment", {}).items():
            if value is None:  # passed on only if it is set
                defaults[name] = settings.get(name, "")
    return defaults


def test_every_variable_of_the_containers_is_listed_with_its_default_and_no_other() -> None:
    assert listed() == {**taken(), **NO_DEFAULT}


def test_every_setting_can_be_set_or_says_why_not() -> None:
    settings = {setting.name for setting in SETTINGS}
    given = set(compose()["services"]["api-1"]["environment"])
    assert settings - given == (SET_BY_THE_CONTAINERS.keys() | OF_THE_ENGINE) - given
    assert settings & listed().keys() == settings - SET_BY_THE_CONTAINERS.keys()


def test_only_what_must_be_set_is_not_commented_out() -> None:
    assert re.findall(r"^([A-Z]\w+)=", EXAMPLE.read_text(), re.MULTILINE) == [
        "FAL_KEY",
        "I2M_REDIS_PASSWORD",
        "I2M_ADMIN_KEY",
    ]


def test_example_filled_in_is_valid() -> None:
    """With every default set explicitly, the settings are those of an empty `.env`."""
    required = {"I2M_REDIS_PASSWORD": "secret", "I2M_CERTIFICATES": "/etc/ours"}

    def settings(environment: dict[str, str]) -> object:
        found = compose(environment)["services"]["api-1"]["environment"]
        passed = {name: environment.get(name, "") for name, value in found.items() if value is None}
        return load({"I2M_HOST": "0.0.0.0", **found, **passed})  # noqa: S104

    explicit = {name: value for name, value in listed().items() if name not in NO_DEFAULT}
    assert settings({**explicit, **required}) == settings(required)
