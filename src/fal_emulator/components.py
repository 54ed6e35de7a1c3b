"""The schemas that many of FAL's documents share: File, ModelUrls and the like, and the queue's status.

Read by the writer of documents, which adds what depends on the endpoint.
"""

from collections.abc import Mapping
from types import MappingProxyType

Schema = dict[str, object]

_FILE: Schema = {"$ref": "#/components/schemas/File"}


def _text(description: str, **more: object) -> Schema:
    return {"type": "string", "description": description, **more}


def _file(description: str) -> Schema:
    return {**_FILE, "description": description}


def _matrix(description: str) -> Schema:
    return {
        "type": "array",
        "items": {"type": "array", "items": {"type": "number"}},
        "description": description,
    }


COMPONENTS: Mapping[str, Mapping[str, Schema]] = MappingProxyType(
    {
        "File": {
            "url": _text("Where the file can be downloaded."),
            "content_type": _text("The MIME type of the file.", examples=["model/gltf-binary"]),
            "file_name": _text("The name of the file.", examples=["model.glb"]),
            "file_size": {"type": "integer", "description": "In bytes.", "examples": [4404019]},
            "file_data": _text("File data", format="binary"),
        },
        "Image": {
            "url": _text("Where the file can be downloaded."),
            "content_type": _text("The MIME type of the file.", examples=["image/png"]),
            "file_name": _text("The name of the file.", examples=["image.png"]),
            "file_size": {"type": "integer", "description": "In bytes.", "examples": [4404019]},
            "file_data": _text("File data", format="binary"),
            "width": {"type": "integer", "description": "In pixels.", "examples": [1024]},
            "height": {"type": "integer", "description": "In pixels.", "examples": [1024]},
        },
        "ModelUrls": {
            "glb": _file("The model as GLB."),
            "fbx": _file("The model as FBX."),
            "obj": _file("The model as OBJ."),
            "usdz": _file("The model as USDZ."),
            "blend": _file("The model as a file of Blender."),
            "stl": _file("The model as STL."),
            "mtl": _file("The materials of the OBJ."),
            "texture": _file("The texture of the OBJ."),
        },
        "TextureFiles": {
            "base_color": _file("The base colour."),
            "metallic": _file("How metallic the surface is."),
            "normal": _file("The normals."),
            "roughness": _file("How rough the surface is."),
        },
        "BasicAnimations": {
            "walking_glb": _file("Walking, as GLB."),
            "walking_fbx": _file("Walking, as FBX."),
            "walking_armature_glb": _file("The armature, walking."),
            "running_glb": _file("Running, as GLB."),
            "running_fbx": _file("Running, as FBX."),
            "running_armature_glb": _file("The armature, running."),
        },
        "AnimationClip": {
            "action_id": {"type": "integer", "description": "Which animation."},
            "animation_glb": _file("The animated model, as GLB."),
            "animation_fbx": _file("The animated model, as FBX."),
        },
        "SAM3DObjectMetadata": {
            "object_index": {"type": "integer", "description": "Which object, from 0."},
            "scale": _matrix("Factors for x, y and z."),
            "rotation": _matrix("A quaternion."),
            "translation": _matrix("x, y and z."),
        },
    }
)
"""The fields of each component, in FAL's order."""

QUEUE_STATUS: Schema = {
    "type": "object",
    "properties": {
        "status": {"type": "string", "enum": ["IN_QUEUE", "IN_PROGRESS", "COMPLETED"]},
        "request_id": _text("The request id."),
        "response_url": _text("The response url."),
        "status_url": _text("The status url."),
        "cancel_url": _text("The cancel url."),
        "logs": {"type": "object", "description": "The logs.", "additionalProperties": True},
        "metrics": {"type": "object", "description": "The metrics.", "additionalProperties": True},
        "queue_position": {"type": "integer", "description": "The queue position."},
    },
    "required": ["status", "request_id"],
}
