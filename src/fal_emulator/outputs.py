"""The JSON of a result, in each endpoint family's own spelling.

Called through the endpoint table once a generation has succeeded. It turns the URLs of the files made into
JSON and makes nothing itself.
"""

import msgspec


class Made(msgspec.Struct, frozen=True, kw_only=True):
    """What one generation made: `model` and `image` are File objects, `seconds` the time it took.

    `variants` are File objects of the same model by format, `archive` is a ZIP where there is one.
    """

    model: dict[str, object]
    image: dict[str, object]
    splat: dict[str, object] | None
    archive: dict[str, object] | None
    variants: dict[str, dict[str, object]]
    textured: bool
    request_id: str
    seconds: float
    seed: int
    format: str
    pbr: bool
    null_mesh: bool


def file_object(url: str, name: str, size: int, content_type: str) -> dict[str, object]:
    """FAL's File: `url` and what is known of it."""
    return {"url": url, "content_type": content_type, "file_name": name, "file_size": size}


def _mesh(made: Made) -> dict[str, object]:
    """`model_mesh`, or null with the mesh in `pbr_model` where that fault is on."""
    if made.null_mesh:
        return {"model_mesh": None, "pbr_model": made.model}
    return {"model_mesh": made.model}


def _urls(made: Made) -> dict[str, object]:
    return {"model_urls": {made.format: made.model, **made.variants}}


def tripo_v2(made: Made) -> dict[str, object]:
    """tripo v2.5: `pbr_model` beside the mesh when `pbr` was asked for."""
    output = {"task_id": made.request_id, **_mesh(made), "rendered_image": made.image}
    if made.pbr:
        output["pbr_model"] = made.model
    return output


def model_mesh_with_urls(made: Made) -> dict[str, object]:
    """tripo h3.1 and p1."""
    return {**_mesh(made), **_urls(made), "rendered_image": made.image}


def model_mesh_with_timings(made: Made) -> dict[str, object]:
    """trellis and triposr."""
    return {**_mesh(made), "timings": {"generation": made.seconds}}


def model_glb(made: Made) -> dict[str, object]:
    """trellis-2: the mesh is called `model_glb`."""
    return {"model_glb": None, "pbr_model": made.model} if made.null_mesh else {"model_glb": made.model}


def hunyuan_v3(made: Made) -> dict[str, object]:
    """hunyuan3d-v3."""
    return {**model_glb(made), **_urls(made), "thumbnail": made.image, "seed": made.seed}


def meshy(made: Made) -> dict[str, object]:
    """meshy v6: the textures as a list of objects of files, one file for each channel."""
    channels = ("base_color", "metallic", "normal", "roughness") if made.pbr else ("base_color",)
    textures = [dict.fromkeys(channels, made.image)] if made.textured else []
    output = {**model_glb(made), **_urls(made), "thumbnail": made.image}
    return {**output, "texture_urls": textures, "seed": made.seed}


def hunyuan_v2(made: Made) -> dict[str, object]:
    """hunyuan3d v2."""
    return {**_mesh(made), "seed": made.seed}


def rodin(made: Made) -> dict[str, object]:
    """hyper3d rodin v2: the textures come as files of their own too."""
    return {**_mesh(made), "textures": [made.image], "seed": made.seed}


def sam_3(made: Made) -> dict[str, object]:
    """sam-3: a Gaussian splat always, a GLB beside it; the same for each object, and all in one ZIP."""
    return {
        "gaussian_splat": made.splat,
        **model_glb(made),
        "individual_splats": [made.splat],
        "individual_glbs": [made.model],
        "artifacts_zip": made.archive,
        "metadata": [{"object_index": 0}],
    }
