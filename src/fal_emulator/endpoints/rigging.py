"""What gives a 3D model a skeleton and animations: Meshy's rigging under both of its names, and Hyper3D's.

Fields and prices are those of FAL's model pages. The pages' outputs could not be read to their end: those of
Meshy are as public programs read them, Hyper3D's `model_mesh` is a guess.
"""

from fal_emulator.endpoints.fields import MODEL, choice, flag, given, integer, number, url
from fal_emulator.endpoints.row import Endpoint, Field, Output

_GLB = ("glb",)
_HUMANOID = url("model", "URL of a GLB of a humanoid character.", formats=_GLB)
_COMMON = {
    "model_url": _HUMANOID,
    "height_meters": number(1.7, text="The character's height."),
}
_SAFETY = {"enable_safety_checker": flag(default=True)}
_RIGGED = {
    "rigged_character_glb": Output(content="model", required=True, description="The rigged character."),
    "rigged_character_fbx": given("fbx", "The rigged character."),
    "basic_animations": given("animations", "Walking and running."),
}


def _rigging(endpoint_id: str, title: str) -> Endpoint:
    return Endpoint(
        id=endpoint_id,
        title=title,
        category="3d-to-3d",
        description="Gives a humanoid model a skeleton, with walking and running.",
        tags=("3d-to-3d", "rigging"),
        license="commercial",
        fields={
            **_COMMON,
            "enable_animation": flag(text="Applies an animation preset."),
            "animation_action_id": integer(1001, text="Which animation of Meshy's library."),
            **_SAFETY,
        },
        outputs={
            **_RIGGED,
            "animation_glb": given("animated", "The animated character.", enable_animation=True),
            "animation_fbx": given("fbx", "The animated character.", enable_animation=True),
        },
        price=0.20,
        unit="requests",
    )


ROWS = (
    _rigging("fal-ai/meshy/rigging", "Meshy Rigging"),
    _rigging("meshy/rigging", "Meshy Rigging"),
    Endpoint(
        id="fal-ai/meshy/rigging/multi-animation",
        title="Meshy Rigging Multi Animation",
        category="3d-to-3d",
        description="Gives a humanoid model a skeleton, and several animations of one library.",
        tags=("stylized", "transform", "3D"),
        license="commercial",
        fields={
            **_COMMON,
            "animation_action_ids": Field(
                kind="array",
                required=True,
                items=integer(None, 0, 696),
                min_items=1,
                max_items=10,
                description="Which animations of Meshy's library.",
            ),
            **_SAFETY,
        },
        outputs={
            **_RIGGED,
            "animations": Output(content="clips", required=True, description="One clip for each id."),
        },
        price=0.20,
        unit="requests",
    ),
    Endpoint(
        id="hyper3d/rigging",
        title="Hyper3D Rigging",
        category="3d-to-3d",
        description="Gives a model a skeleton.",
        tags=("3d", "rigging", "skeleton", "character"),
        license="commercial",
        fields={
            "model_url": url(
                "model",
                "URL of a mesh: OBJ, GLB, STL, FBX or USD.",
                formats=("obj", "glb", "stl", "fbx", "usda", "usdz", "usdc"),
            ),
            "bone_template": choice(
                "auto", "auto", "human", "quadruped", "bird", "dragon", "kaiju", text="The skeleton."
            ),
            "image_url": url("style", "URL of a picture by which `auto` chooses.", required=False),
        },
        outputs={"model_mesh": MODEL},
        price=0.20,
        unit="requests",
    ),
)
