"""Checks the built site: it loads nothing from the network, and every link and anchor inside it exists.

Who calls it: `tools/site/build.sh` after each build; the test of the site. Zensical checks the links of the
Markdown itself; this reads what a browser would get.
"""

import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

LOADING = {"src", "srcset", "poster", "data"}
"""Attributes by which a page loads something. `href` loads in `link` alone, and not where it only names a page."""
NAMING = {"canonical", "alternate", "next", "prev", "license", "author", "help"}
REMOTE = re.compile(r"\s*(?:https?:)?//", re.IGNORECASE)
REMOTE_STYLE = re.compile(r"(?:@import\s+|url\()\s*['\"]?(?:https?:)?//[^'\")\s]*", re.IGNORECASE)


class Page(HTMLParser):
    """The anchors of a page, where its links lead, and what it loads."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        known = {name: value or "" for name, value in attrs}
        self.anchors |= {known[name] for name in ("id", "name") if name in known}
        self.loads += [known[name] for name in LOADING & known.keys()]
        self.loads += REMOTE_STYLE.findall(known.get("style", ""))
        if tag == "a":
            self.links.append(known.get("href", ""))
        elif tag == "link" and not set(known.get("rel", "").split()) <= NAMING:
            self.loads.append(known.get("href", ""))


def faults(site: Path) -> list[str]:
    """What is wrong, one sentence for each."""
    pages = {path: Page(path.read_text(encoding="utf-8")) for path in sorted(site.rglob("*.html"))}
    found = [] if pages else [f"{site} has no page"]
    for path, page in pages.items():
        name = path.relative_to(site)
        for load in page.loads:
            if REMOTE.match(load) or REMOTE_STYLE.match(load):
                found.append(f"{name} loads {load} from the network")
            elif path.name != "404.html":
                found += _dead(name, path, load, pages)
        if path.name != "404.html":  # its addresses are absolute, for a server
            for link in page.links:
                found += _dead(name, path, link, pages)
    for sheet in site.rglob("*.css"):
        remote = REMOTE_STYLE.findall(sheet.read_text(encoding="utf-8"))
        found += [f"{sheet.relative_to(site)} loads {one} from the network" for one in remote]
    return found


def _dead(name: Path, path: Path, link: str, pages: dict[Path, Page]) -> list[str]:
    """Why the address leads nowhere, where it is one inside the site."""
    parts = urlsplit(link)
    if parts.scheme or parts.netloc:
        return []
    target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
    if not target.is_file():
        return [f"{name}: {link} does not exist"]
    anchor = unquote(parts.fragment)
    if anchor and target in pages and anchor not in pages[target].anchors:
        return [f"{name}: {link} has no such anchor"]
    return []


if __name__ == "__main__":
    wrong = faults(Path(sys.argv[1]).resolve())
    print("\n".join(wrong), file=sys.stderr)  # noqa: T201 - a program
    sys.exit(bool(wrong))
