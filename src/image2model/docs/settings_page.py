"""`docs/settings.md`, from the table of settings. Who calls it: the list of pages."""

from image2model.docs.markdown import page, table
from image2model.settings import SETTINGS, Setting


def render() -> str:
    """The page."""
    about = (
        "All settings come from the environment. A wrong value stops the start, with every problem named at "
        "once. Durations are seconds, or such as `90s`, `15m`, `12h`, `7d`; sizes are bytes, or such as "
        "`10MiB`; lists are separated by commas; switches are `1` or `0`.\n"
    )
    return page("Settings", about, table(("Name", "Default", "Meaning"), map(_row, SETTINGS)))


def _row(setting: Setting) -> tuple[str, str, str]:
    default = f"`{setting.default}`" if setting.default else "not set"
    return f"`{setting.name}`", default, setting.meaning
