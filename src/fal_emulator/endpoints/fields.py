"""Short ways to write the fields and outputs of a row, and the descriptions that many rows share."""

from fal_emulator.endpoints.row import Content, Field, Output, PictureSize, Role

DESCRIPTIONS = {
    "auto_size": "Scales the model to its size in the real world, in metres.",
    "decimation_target": "How many vertices the exported mesh should have.",
    "enable_animation": "Applies an animation to the rigged character. Needs enable_rigging.",
    "enable_pbr": "Makes maps for physically based rendering.",
    "enable_rigging": "Rigs the model as a humanoid character.",
    "enable_safety_checker": "Checks the input before it is processed.",
    "face_count": "Target number of faces.",
    "face_limit": "Upper bound for the number of faces.",
    "geometry_file_format": "Format of the model file.",
    "guidance_scale": "How closely the result follows the picture.",
    "num_inference_steps": "Number of steps of inference.",
    "octree_resolution": "Resolution of the octree.",
    "pbr": "Makes maps for physically based rendering.",
    "prompt": "Words that guide the generation.",
    "quad": "Makes quads in place of triangles; the file is then FBX.",
    "resolution": "Resolution of the result; more is slower.",
    "seed": "The same seed makes the same result again.",
    "target_polycount": "Target number of polygons.",
    "texture_prompt": "Words that guide the texture.",
    "texture_size": "Side of the texture in pixels.",
    "textured_mesh": "Makes textures, for three times the price.",
    "topology": "Whether the faces are quads or triangles.",
}
"""What a field says about itself where its row does not."""


def url(
    role: Role = "picture",
    text: str = "",
    *,
    required: bool = True,
    default: str | None = None,
    formats: tuple[str, ...] = (),
    picture: PictureSize | None = None,
) -> Field:
    """One URL; `formats` of a 3D model, `picture` bounds a picture."""
    return Field(
        role=role,
        required=required,
        default=default,
        formats=formats,
        picture=picture,
        description=text or _ROLES[role],
    )


def at_most(side_px: int, size: int, *, said: bool = False) -> PictureSize:
    """Pictures of so many pixels a side, and so many bytes."""
    return PictureSize(max_file_size=size, max_width=side_px, max_height=side_px, said=said)


def side(name: str, *, required: bool = False, picture: PictureSize | None = None) -> Field:
    """The URL of the view from one side."""
    return Field(
        role="side",
        required=required,
        picture=picture,
        description=f"URL of the picture of the {name} of the object.",
    )


def urls(
    role: Role = "views",
    text: str = "",
    *,
    required: bool = True,
    low: int | None = 1,
    high: int | None = None,
) -> Field:
    """A list of URLs."""
    return Field(
        kind="array",
        role=role,
        required=required,
        items=Field(role=role),
        min_items=low if required else None,
        max_items=high,
        description=text or _ROLES[role],
    )


_ROLES: dict[Role, str] = {
    "picture": "URL of the picture to make a model of.",
    "side": "URL of one side of the object.",
    "views": "URLs of pictures of one object from several sides.",
    "style": "URL of a picture that guides the texture.",
    "mask": "URL of a mask that says what the object is.",
    "model": "URL of the 3D model to work on.",
}


def integer(
    default: int | None = None, low: int | None = None, high: int | None = None, text: str = ""
) -> Field:
    """A whole number."""
    return Field(kind="integer", default=default, minimum=low, maximum=high, description=text)


def number(
    default: float | None = None, low: float | None = None, high: float | None = None, text: str = ""
) -> Field:
    """A number."""
    return Field(kind="number", default=default, minimum=low, maximum=high, description=text)


def flag(*, default: bool = False, text: str = "") -> Field:
    """True or false."""
    return Field(kind="boolean", default=default, description=text)


def text(
    default: str | None = None, *, required: bool = False, what: str = "", most: int | None = None
) -> Field:
    """Any text, of at most so many characters."""
    return Field(default=default, required=required, description=what, max_length=most)


def choice(default: str | None, *choices: str, text: str = "") -> Field:
    """One of some words."""
    return Field(default=default, choices=choices, description=text)


def quoted(default: int, *choices: int, text: str = "") -> Field:
    """One of some numbers that the sheet has in quotes: whether they are strings is drawn at each start."""
    return Field(kind="integer", default=default, choices=choices, drawn=True, description=text)


def array(items: Field, text: str = "", *, low: int | None = None, high: int | None = None) -> Field:
    """A list of other things than URLs."""
    return Field(kind="array", items=items, min_items=low, max_items=high, description=text)


def thing(name: str, **fields: Field) -> Field:
    """An object of a named schema."""
    return Field(kind="object", name=name, fields=fields, required=True)


MODEL = Output(content="model", required=True, description="The 3D model.")
MAYBE_MODEL = Output(content="model", description="The 3D model.")
PREVIEW = Output(content="preview", description="A picture of the model.")
SEED = Output(content="seed", description="The seed that was used.")
TIMINGS = Output(content="timings", required=True, description="How long each step took, in seconds.")
TASK = Output(content="task", required=True, description="The task at the maker's own service.")
TEXTURES = Output(content="textures", required=True, description="The textures of the model.")


def model_urls(*formats: str) -> Output:
    """The model in several formats."""
    return Output(content="model_urls", required=True, formats=formats, description="The model by format.")


def given(content: Content, description: str = "", **when: object) -> Output:
    """An output that is there for some parameters only."""
    return Output(content=content, when=when, description=description)
