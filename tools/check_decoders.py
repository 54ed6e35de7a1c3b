"""Finds typed decoding that is prepared anew at each call: `python tools/check_decoders.py src`.

msgspec makes a decoder's type information at `decode(..., type=T)`, `convert(x, T)` and `Decoder(T)`. Done in
threads, version 0.22.0's extension has ended workers by a null pointer; decoders made while a module is
imported have not. So inside a function these calls are refused. Commands of the client run once and in one
thread, and may. `make check` runs this.
"""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

EXEMPT = ("image2model/cli/", "image2model/client/")
_BUILTINS = frozenset({"bool", "bytes", "dict", "float", "int", "list", "object", "str", "tuple"})
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)


def offences(source: str) -> list[tuple[int, str]]:
    """Line and reason of each call in the module that is refused."""
    tree = ast.parse(source)
    converts = _names_of_convert(tree)
    return sorted(
        {
            (call.lineno, reason)
            for function in ast.walk(tree)
            if isinstance(function, _FUNCTIONS)
            for call in _calls_in(function)
            if (reason := _reason(call, converts))
        }
    )


def _calls_in(function: ast.AST) -> Iterator[ast.Call]:
    """Calls in the body. Defaults and decorators run when the module is imported."""
    body = function.body if isinstance(function.body, list) else [function.body]  # type: ignore[attr-defined]
    for statement in body:
        yield from (node for node in ast.walk(statement) if isinstance(node, ast.Call))


def _names_of_convert(tree: ast.Module) -> set[str]:
    """How this module spells `msgspec.convert`."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {f"{one.asname or one.name}.convert" for one in node.names if one.name == "msgspec"}
        elif isinstance(node, ast.ImportFrom) and node.module == "msgspec":
            found |= {one.asname or one.name for one in node.names if one.name == "convert"}
    return found


def _reason(call: ast.Call, converts: set[str]) -> str | None:
    spelt = ast.unparse(call.func)
    name = spelt.rpartition(".")[2]
    if name == "Decoder":
        return "a Decoder is made at each call; make it at import"
    typed = any(keyword.arg == "type" for keyword in call.keywords)
    if name.endswith("decode") and typed:
        return "decode(type=...) prepares its type at each call; use a Decoder made at import"
    if name == "partial" and typed and any("decode" in ast.unparse(one) for one in call.args):
        return "partial(decode, type=...) prepares its type at each call; use a Decoder made at import"
    if spelt in converts and not _to_builtin(call):
        return "convert() prepares its type at each call; decode with a Decoder made at import"
    return None


def _to_builtin(call: ast.Call) -> bool:
    wanted = next((one.value for one in call.keywords if one.arg == "type"), None)
    if wanted is None and len(call.args) > 1:
        wanted = call.args[1]
    return isinstance(wanted, ast.Name) and wanted.id in _BUILTINS


def main(folders: list[str]) -> int:
    """Print what is found; 1 where there is anything."""
    found = 0
    for path in sorted(file for folder in folders for file in Path(folder).rglob("*.py")):
        if any(part in path.as_posix() for part in EXEMPT):
            continue
        for line, reason in offences(path.read_text("utf-8")):
            found += 1
            sys.stdout.write(f"{path}:{line}: {reason}\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
