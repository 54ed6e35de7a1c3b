"""Refuses to build a wheel or an sdist without the page's browser parts.

They come from npm at set-up, and git ignores them. A package without them would install and start, and only
the page would tell that its viewers are missing. Hatchling runs this before each build.
"""

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

VENDOR = Path("src/image2model/web/vendor")
PARTS = (
    "model-viewer.min.js",
    "LICENSE.model-viewer.txt",
    "LICENSE.three.txt",
    "LICENSE.lit.txt",
    "LICENSE.gainmap-js.txt",
    "draco/draco_wasm_wrapper.js",
    "draco/draco_decoder.wasm",
    "draco/draco_decoder.js",
    "draco/README.txt",
    "basis/basis_transcoder.js",
    "basis/basis_transcoder.wasm",
    "basis/README.txt",
    "swagger-ui/swagger-ui-bundle.js",
    "swagger-ui/swagger-ui-bundle.js.LICENSE.txt",
    "swagger-ui/swagger-ui.css",
    "swagger-ui/LICENSE.txt",
    "swagger-ui/NOTICE.txt",
)
"""The 3D viewer, its decoders, the API reference's viewer, their licences: `make page-parts` copies them."""


class PagePartsHook(BuildHookInterface):  # type: ignore[type-arg]
    """The hook of `tool.hatch.build.hooks.custom`."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002
        """Raises SystemExit where parts are missing. An editable install may lack them."""
        if version == "editable":
            return
        folder = Path(self.root) / VENDOR
        missing = [part for part in PARTS if not (folder / part).is_file()]
        if missing:
            raise SystemExit(
                f"{VENDOR} lacks {', '.join(missing)}. The package would have a page without its viewers. "
                "Install Node 20 or later with npm, run `make page-parts`, and build again."
            )
