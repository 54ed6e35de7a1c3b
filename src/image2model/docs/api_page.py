"""`docs/api.md`, from the table of operations. Who calls it: the list of pages."""

from collections.abc import Iterator
from itertools import groupby

from image2model.api.reference.operation import Answer, Operation
from image2model.api.reference.responses import problems_of
from image2model.api.reference.table import OPERATIONS
from image2model.docs.markdown import page, table


def render() -> str:
    """The page."""
    about = (
        "A running service tells all of this in full, with schemas and examples: `/api/v1/docs` for people, "
        "`/api/v1/openapi.json` for programs. The codes are those of [errors.md](errors.md).\n"
    )
    return page("HTTP interface", about, *_overview(), *map(_operation, OPERATIONS))


def _overview() -> Iterator[str]:
    for tag, group in groupby(OPERATIONS, key=lambda one: one.tag):
        yield f"**{tag}**\n"
        yield table(("Call", ""), ((f"`{one.method} {one.path}`", one.summary) for one in group))


def _operation(operation: Operation) -> str:
    parts = [f"## `{operation.method} {operation.path}`\n", f"{operation.summary}. {operation.description}\n"]
    if operation.access == "admin":
        parts.append("For the role `admin`.\n")
    if operation.parameters:
        rows = ((f"`{one.name}`", one.where, one.description) for one in operation.parameters)
        parts.append(table(("Parameter", "In", ""), rows))
    if operation.body is not None:
        parts.append(f"Body, `{operation.body.media_type}`: {operation.body.description}\n")
    answers = ((str(one.status), one.description, _shape(one)) for one in operation.answers)
    parts.append(table(("Status", "", "Body"), answers))
    codes = ", ".join(f"`{one.code}`" for one in problems_of(operation))
    parts.append(f"Refusals: {codes}.\n")
    return "\n".join(parts)


def _shape(answer: Answer) -> str:
    if answer.shape is not None:
        return f"`{answer.shape.__name__}`"
    return f"`{answer.media_type}`" if answer.media_type else ""
