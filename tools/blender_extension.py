"""Packs src/blender as an extension of Blender 4.2 and later: `python tools/blender_extension.py FOLDER`.

https://docs.blender.org/manual/en/latest/advanced/extensions/getting_started.html
"""

import sys
import tomllib
import zipfile
from pathlib import Path

SOURCE = Path(__file__).parent.parent / "src" / "blender"
# An extension is a package: the add-on's one file is its __init__.
FILES = {"blender_manifest.toml": "blender_manifest.toml", "image2model_addon.py": "__init__.py"}


def pack(folder: Path) -> Path:
    """Write the archive into the folder. Returns its path."""
    manifest = tomllib.loads((SOURCE / "blender_manifest.toml").read_text())
    target = folder / f"{manifest['id']}-blender-{manifest['version']}.zip"
    folder.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for source, name in FILES.items():
            # ZipInfo's own time is 1980, so the same files make the same archive
            archive.writestr(zipfile.ZipInfo(name), (SOURCE / source).read_bytes(), zipfile.ZIP_DEFLATED)
    return target


if __name__ == "__main__":
    sys.stdout.write(f"{pack(Path(sys.argv[1]))}\n")
