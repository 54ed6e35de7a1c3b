"""`python -m image2model.docs [--check] [FOLDER]`: write the generated pages, or check them."""

import sys
from pathlib import Path

import click

from image2model.docs.pages import PAGES


@click.command()
@click.option("--check", is_flag=True, help="Write nothing; exit 1 if a page is missing or stale.")
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path), default=Path("docs"))
def main(*, check: bool, folder: Path) -> None:
    """Write the generated pages into FOLDER (default: docs)."""
    stale = [name for name, make in PAGES.items() if _write(folder / name, make(), check=check)]
    if check and stale:
        click.echo(
            f"These pages are stale: {', '.join(stale)}. Run `python -m image2model.docs`, and commit them.",
            err=True,
        )
        sys.exit(1)


def _write(path: Path, text: str, *, check: bool) -> bool:
    """Write a page if it is missing or stale; return whether it was."""
    if path.is_file() and path.read_text(encoding="utf-8") == text:
        return False
    if not check:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return True


if __name__ == "__main__":
    main()
