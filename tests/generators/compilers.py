"""How generated clients without a program are compiled, with what Debian has.

Each function returns why it could not compile: empty where it did. Where the client itself is to blame, the
compiler's words are an AssertionError.
"""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Final

from tests.generators.toolbox import jar, run

JARS: Final = Path("/usr/share/java")
JAVA_LIBRARIES: Final = ("httpmime.jar", "httpcore.jar", "jakarta-annotation-api.jar")
GO_SOURCES: Final = Path("/usr/share/gocode")


def of(tool: str) -> Callable[[Path], str]:
    """The compiler for a generator of the page."""
    return _COMPILERS[tool]


def _go(folder: Path) -> str:
    """Debian keeps Go's packages as sources, which Go finds without modules."""
    package = folder / "go/src/image2model"
    shutil.move(folder / "client", package)
    shutil.rmtree(
        package / "test", ignore_errors=True
    )  # needs a package for tests that Debian's sources lack
    path = f"{folder}/go{os.pathsep}{GO_SOURCES}"
    run(f"cd {package} && go build . && go vet .", folder, GO111MODULE="off", GOPATH=path)
    return ""


def _java(folder: Path) -> str:
    """Debian lacks Jackson's module for dates. The generator's own program has all of Jackson in it."""
    path = os.pathsep.join([str(jar()), *(str(JARS / name) for name in JAVA_LIBRARIES)])
    run(
        "find client/src/main -name '*.java' > sources\n"
        f"javac -proc:none -nowarn -cp {path} -d classes @sources",
        folder,
    )
    return ""


def _csharp(_: Path) -> str:
    return "not compiled: Debian has no .NET, and Mono's compiler knows C# 7 only"


_COMPILERS: Final = {
    "openapi-generator: go": _go,
    "openapi-generator: java": _java,
    "openapi-generator: csharp": _csharp,
}
