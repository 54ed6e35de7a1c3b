"""The form of a second step: fields, and at most one picture."""

from typing import Final

from image2model.http.upload.form import FILE, Part, PartStart
from image2model.http.upload.part_names import field_of, is_file
from image2model.http.upload.reader import FormReader

STEP_FIELDS: Final = frozenset(
    {
        "model",
        "params",
        "params_strict",
        "face_limit",
        "file",
        "max_cost_usd",
        "metadata",
        "webhook_url",
        "priority",
        "no_cache",
    }
)
"""What a second step can be told, in a form or as JSON."""


class StepFormReader(FormReader):
    """Reads one. A part `file` with a file name is the picture, without one it names the parent's file."""

    def _takes_file(self, name: str) -> bool:
        return is_file(name) and field_of(name) not in STEP_FIELDS

    def _begin(self, start: PartStart) -> Part:
        name = field_of(start.name)
        if self._takes_file(start.name) or (is_file(start.name) and start.filename is not None):
            if self.files_seen:
                return self._refuse("A second step takes one picture beside the model. Send one.")
            return self._begin_file(start, FILE)
        if name not in STEP_FIELDS:
            return self._refuse(
                f"There is no parameter {name[:80]!r}. A second step has one picture at most, in a part "
                f"named `image`, and: {', '.join(sorted(STEP_FIELDS))}."
            )
        if self._names[name]:
            return self._refuse(f"The parameter `{name}` came twice. Send it once.")
        return self._begin_field(name, start.codec)

    def _check_files(self) -> None:
        """Any number will do: the picture is the parent's where there is none."""
