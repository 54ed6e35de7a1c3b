"""Checks a model's input against its row of the endpoint table, as the model itself would.

Called by the studio when a generation starts, because FAL's queue takes any JSON and the model refuses it.
Unknown fields are ignored.
"""

from fal_emulator.endpoints import Endpoint, Parameter

_TYPES: dict[str, tuple[type, ...]] = {
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "string": (str,),
}
_MAX_PICTURES = 5


class InputError(Exception):
    """`loc` is the field's path under the body, `kind` FAL's (pydantic's) name of the mistake."""

    def __init__(self, message: str, kind: str, loc: tuple[str | int, ...], given: object) -> None:
        super().__init__(message)
        self.message = message
        self.kind = kind
        self.loc = loc
        self.given = given


def picture_urls(endpoint: Endpoint, arguments: dict[str, object]) -> list[str]:
    """The pictures' URLs. Raises InputError if the field is missing or of the wrong type."""
    value = arguments.get(endpoint.picture)
    if value is None:
        raise InputError("Field required", "missing", (endpoint.picture,), None)
    if not endpoint.many:
        return [_url(value, (endpoint.picture,))]
    if not isinstance(value, list) or not 1 <= len(value) <= _MAX_PICTURES:
        message = f"Input should be a list of 1 to {_MAX_PICTURES} URLs"
        raise InputError(message, "list_type", (endpoint.picture,), None)
    return [_url(item, (endpoint.picture, at)) for at, item in enumerate(value)]


def check_input(endpoint: Endpoint, arguments: dict[str, object]) -> None:
    """Raises InputError for the first field that is wrong."""
    picture_urls(endpoint, arguments)
    for name, parameter in endpoint.parameters.items():
        value = arguments.get(name)
        if value is not None:
            _check(name, parameter, value)
    if arguments.get("geometry_file_format") == "usdz":
        raise InputError(
            "The emulator makes no usdz", "feature_not_supported", ("geometry_file_format",), "usdz"
        )


def _url(value: object, loc: tuple[str | int, ...]) -> str:
    if not isinstance(value, str):
        raise InputError("Input should be a valid string", "string_type", loc, value)
    return value


def _check(name: str, parameter: Parameter, value: object) -> None:
    kind = parameter.kind
    if not isinstance(value, _TYPES[kind]) or (isinstance(value, bool) and kind != "boolean"):
        raise InputError(f"Input should be a valid {kind}", f"{kind}_type", (name,), value)
    if parameter.choices and value not in parameter.choices:
        expected = ", ".join(str(choice) for choice in parameter.choices)
        raise InputError(f"Input should be one of {expected}", "enum", (name,), value)
    if isinstance(value, (int, float)):
        _check_bounds(name, parameter, value)


def _check_bounds(name: str, parameter: Parameter, value: float) -> None:
    if parameter.minimum is not None and value < parameter.minimum:
        message = f"Input should be greater than or equal to {parameter.minimum:g}"
        raise InputError(message, "greater_than_equal", (name,), value)
    if parameter.maximum is not None and value > parameter.maximum:
        message = f"Input should be less than or equal to {parameter.maximum:g}"
        raise InputError(message, "less_than_equal", (name,), value)
