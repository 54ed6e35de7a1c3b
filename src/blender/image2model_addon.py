"""Blender add-on: sends a picture or the current render to an image2model service, and imports the model.

One file, however long, so that Blender can install it as it is: "Install from Disk" takes a .py file, and an
archive only where it was packed first. The standard library only. A thread talks to the
service and never touches Blender's data; a timer in Blender shows its progress and imports what it fetched.
In background mode an operator does all of it before it returns. The service's address and the key are in
Blender's preferences, never in a .blend file.
"""

import contextlib
import hashlib
import http.client
import json
import os
import shutil
import tempfile
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid
from pathlib import Path

import bpy

bl_info = {
    "name": "image2model",
    "author": "image2model",
    "version": (0, 1, 0),
    "blender": (4, 2, 0),
    "location": "3D View > Sidebar > image2model",
    "description": "Makes 3D models of pictures and renders, by an image2model service",
    "category": "Import-Export",
}

ADDON = __package__ or __name__  # an extension is a package, a single file is a module
API = "/api/v1"
ANSWER_SECONDS = 30.0  # for each read of an answer
UPLOAD_SECONDS = 300.0
POLL_SECONDS = 1.0
PATIENCE_SECONDS = 600.0  # how long the service may be away while it makes the model
UPLOAD_TRIES = 4
UNFINISHED = ("queued", "running")
LOOPBACK = ("localhost", "127.0.0.1", "::1")
SENT_AS_IT_IS = {".png", ".jpg", ".jpeg", ".webp", ".heic", ".heif", ".avif", ".gif", ".tif", ".tiff", ".bmp"}
IMPORTERS = {
    "glb": ("import_scene", "gltf"),
    "gltf": ("import_scene", "gltf"),
    "obj": ("wm", "obj_import"),
    "fbx": ("import_scene", "fbx"),
    "stl": ("wm", "stl_import"),
    "ply": ("wm", "ply_import"),
    "usdz": ("wm", "usd_import"),
    "usd": ("wm", "usd_import"),
}

_running = []  # the Making of each operator at work
_models = []  # (id, title) as last read from the service
_unanswered = {}  # what was sent without an answer: its digest, and its Idempotency-Key


class ServiceError(Exception):
    """What went wrong, in words that say what to do. `passing`: the same call may work later."""

    def __init__(self, message, *, passing=False):
        super().__init__(message)
        self.passing = passing


class Service:
    """The HTTP interface of the service. Methods block, and raise ServiceError."""

    def __init__(self, url, key):
        self.url = url.rstrip("/")
        self._key = key

    def models(self):
        """(id, title) of each model that one picture can run."""
        listed = self._json("GET", f"{API}/models")["models"]
        return [(one["id"], one["title"]) for one in listed if one["available"] and not one["needs"]]

    def upload(self, name, picture, model, key):
        """The document of a new job, or of the job that the same `key` made before."""
        boundary = uuid.uuid4().hex
        quoted = name.replace("\\", "%5C").replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")
        disposition = "Content-Disposition: form-data; name="
        parts = [f'--{boundary}\r\n{disposition}"files"; filename="{quoted}"\r\n\r\n'.encode(), picture]
        if model:
            parts.append(f'\r\n--{boundary}\r\n{disposition}"model"\r\n\r\n{model}'.encode())
        body = b"".join([*parts, f"\r\n--{boundary}--\r\n".encode()])
        headers = {"Content-Type": f"multipart/form-data; boundary={boundary}", "Idempotency-Key": key}
        return self._json("POST", f"{API}/upload/batch", body, headers, UPLOAD_SECONDS)

    def status(self, job_id):
        """The job document as it is now."""
        return self._json("GET", f"{API}/status/{job_id}")

    def cancel(self, job_id):
        """Stop the job. What FAL has begun, FAL may still finish."""
        self._json("POST", f"{API}/jobs/{job_id}/cancel", b"")

    def download(self, path, target):
        """Write a file of a result to `target`."""
        with self._answer("GET", path) as answer, target.open("wb") as file:
            shutil.copyfileobj(answer, file)
            if answer.length:
                raise http.client.IncompleteRead(b"", answer.length)

    def _json(self, *request):
        with self._answer(*request) as answer:
            return json.load(answer)

    @contextlib.contextmanager
    def _answer(self, method, path, body=None, headers=None, seconds=ANSWER_SECONDS):
        try:
            request = urllib.request.Request(self.url + path, body, headers or {}, method=method)
            if self._key:  # a redirect to the storage's host must not carry it there
                request.add_unredirected_header("Authorization", f"Bearer {self._key}")
            with urllib.request.urlopen(request, timeout=seconds) as answer:
                yield answer
        except urllib.error.HTTPError as error:
            with error:
                raise _refusal(error) from error
        except (OSError, ValueError, http.client.HTTPException) as error:
            reason = getattr(error, "reason", error)
            raise ServiceError(
                f"No answer from {self.url} ({reason}). Start the service, or correct its address in the "
                "add-on's preferences",
                passing=True,
            ) from error


def _refusal(error):
    """The service's own words of a problem document, and what to do in Blender."""
    try:
        problem = json.loads(error.read(65536))
        details = [problem["detail"], *(one["detail"] for one in problem.get("errors") or ())]
        said = " ".join(dict.fromkeys(details))  # the first file's is often the whole answer's too
    except (OSError, ValueError, KeyError, TypeError, http.client.HTTPException):
        said = f"HTTP {error.code} {error.reason}"
    if error.code == 401:
        return ServiceError(
            f"The service does not take the key. Correct it in the add-on's preferences: {said}"
        )
    if error.code in (404, 410):
        return ServiceError(f"The job is no longer on the service: it was deleted or has expired. {said}")
    return ServiceError(said, passing=error.code in (408, 429, 500, 502, 503, 504))


class Making(threading.Thread):
    """One picture on its way to a model. `progress` from 0 to 1; at the end `error`, or `file`."""

    def __init__(self, service, name, picture, model):
        super().__init__(name=f"image2model {name}", daemon=True)
        self.picture_name = name
        self.progress = 0.0
        self.phase = "sending"
        self.job_id = None
        self.error = None
        self.file = None
        self.format = ""
        self.folder = Path(tempfile.mkdtemp(prefix="image2model-"))
        self._service = service
        self._picture = picture
        self._model = model
        self._cancel = threading.Event()
        self._abandon = threading.Event()

    def cancel(self):
        """Stop the job on the service; the thread then ends with an error that says so."""
        self._cancel.set()

    def abandon(self):
        """Follow it no longer. The job goes on on the service."""
        self._abandon.set()
        self._cancel.set()

    def run(self):
        try:
            self._make()
        except ServiceError as error:
            self.error = str(error)
        except OSError as error:
            self.error = f"The model cannot be written: {error}. Free some disk space"
        finally:
            if self._abandon.is_set():
                self.clean_up()

    def clean_up(self):
        """Remove the temporary files."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _make(self):
        job = self._patiently(self._upload, UPLOAD_TRIES * POLL_SECONDS * 4)
        self.job_id = job["job_id"]
        asked = False
        while job["status"] in UNFINISHED:
            image = job["images"][0]
            waits = f", waits for: {job['waiting_for']}" if job.get("waiting_for") else ""
            self.progress, self.phase = job.get("progress", 0.0), image["status"] + waits
            if self._cancel.wait(0 if asked else POLL_SECONDS) and not self._abandon.is_set():
                if not asked:
                    self._patiently(lambda: self._service.cancel(self.job_id), PATIENCE_SECONDS)
                asked = True
                self._abandon.wait(POLL_SECONDS)
            if self._abandon.is_set():
                raise ServiceError(f"Not followed any longer. Job {self.job_id} goes on on the service")
            job = self._patiently(lambda: self._service.status(self.job_id), PATIENCE_SECONDS)
        image = job["images"][0]
        if image["status"] != "succeeded":
            raise ServiceError(_failure(image))
        model = next(file for file in image["result"]["files"] if file["kind"] == "model")
        self.phase, self.progress, self.format = "fetching the model", 0.95, model["format"].lower()
        target = self.folder / f"{Path(self.picture_name).stem or 'model'}.{self.format}"
        self._patiently(lambda: self._service.download(model["url"], target), PATIENCE_SECONDS)
        self.progress, self.file = 1.0, target

    def _upload(self):
        """Send it. The same picture sent again after a lost answer gets the same key, so it is paid once."""
        digest = hashlib.sha256(repr((self._service.url, self._model)).encode() + self._picture).hexdigest()
        key = _unanswered.setdefault(digest, str(uuid.uuid4()))
        try:
            job = self._service.upload(self.picture_name, self._picture, self._model, key)
        except ServiceError as error:
            if not error.passing:
                _unanswered.pop(digest, None)
            raise
        _unanswered.pop(digest, None)
        return job

    def _patiently(self, call, seconds):
        """Repeat a call while the service is away, at most so many seconds."""
        deadline, pause = time.monotonic() + seconds, POLL_SECONDS
        while True:
            try:
                return call()
            except ServiceError as error:
                if not error.passing or time.monotonic() + pause > deadline:
                    raise
                self.phase = "the service does not answer, trying again"
                if self._abandon.wait(pause) or (self._cancel.is_set() and self.job_id is None):
                    raise
                pause = min(2 * pause, 15.0)


class Listing(threading.Thread):
    """Reads the list of models. At the end `error`, or `models`."""

    phase = "reading the list of models"

    def __init__(self, service):
        super().__init__(name="image2model models", daemon=True)
        self.error = None
        self.models = []
        self._service = service

    def run(self):
        try:
            self.models = self._service.models()
        except (ServiceError, KeyError, TypeError) as error:
            self.error = str(error)


def _failure(image):
    if image["status"] == "cancelled":
        return "Cancelled"
    error = image["error"] or {"message": "it failed", "retryable": False}
    advice = "Try it again" if error["retryable"] else "Use another picture or another model"
    return f"No model of {image['filename']}: {error['message'].rstrip('.')}. {advice}"


def preferences():
    """The add-on's preferences; `I2M_URL` and `I2M_API_KEY` stand in for what is empty there."""
    return bpy.context.preferences.addons[ADDON].preferences


def service():
    """The service of the preferences. Raises ServiceError while Blender may not go online."""
    given = preferences()
    url = given.url or os.environ.get("I2M_URL") or "http://127.0.0.1:8000"
    parts = urllib.parse.urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ServiceError(f"{url!r} is no address: write http://host:port in the add-on's preferences")
    if parts.hostname not in LOOPBACK and not bpy.app.online_access:
        raise ServiceError("Blender may not go online: Preferences > System > Network > Allow Online Access")
    return Service(url, given.api_key or os.environ.get("I2M_API_KEY", ""))


def picture_of(source, filepath, image_name):
    """Name and bytes of what is to be sent. Raises ServiceError."""
    if source == "FILE":
        path = Path(bpy.path.abspath(filepath))
        try:
            return path.name, path.read_bytes()
        except OSError as error:
            raise ServiceError(f"Choose a picture: {error}") from error
    image = bpy.data.images.get("Render Result" if source == "RENDER" else image_name)
    if image is None:
        hint = "Render first (F12)" if source == "RENDER" else "Choose an image of this .blend file"
        raise ServiceError(f"There is no picture to send. {hint}")
    if image.source == "FILE" and not image.is_dirty and Path(image.filepath).suffix.lower() in SENT_AS_IT_IS:
        if image.packed_file:
            return Path(image.filepath).name, bytes(image.packed_file.data)
        return picture_of("FILE", image.filepath, "")
    return "render.png" if source == "RENDER" else f"{Path(image.name).stem}.png", _as_png(image)


def _as_png(image):
    """An image that is in Blender's memory only, as a PNG. Raises ServiceError."""
    with tempfile.TemporaryDirectory(prefix="image2model-") as folder:
        target = Path(folder, "picture.png")
        try:
            if image.type in ("RENDER_RESULT", "COMPOSITING") or image.is_float:
                with _png_settings(bpy.context.scene):
                    image.save_render(str(target))
            else:
                copy = image.copy()
                try:
                    copy.filepath_raw, copy.file_format = str(target), "PNG"
                    copy.save()
                finally:
                    bpy.data.images.remove(copy)
            return target.read_bytes()
        except (RuntimeError, OSError) as error:
            raise ServiceError(
                f"{image.name!r} has no pixels to send: render first (F12) ({error})"
            ) from error


@contextlib.contextmanager
def _png_settings(scene):
    """The scene writes PNG with alpha in the block, and what it wrote before afterwards."""
    settings = scene.render.image_settings
    names = [
        name for name in ("media_type", "file_format", "color_mode", "color_depth") if hasattr(settings, name)
    ]
    before = [getattr(settings, name) for name in names]
    wanted = {"media_type": "IMAGE", "file_format": "PNG", "color_mode": "RGBA", "color_depth": "8"}
    try:
        for name in names:
            setattr(settings, name, wanted[name])
        yield
    finally:
        for name, value in zip(names, before, strict=True):
            setattr(settings, name, value)


def import_model(file, file_format, name):
    """Import a model at the 3D cursor and select it. Returns a sentence that says what was done.

    What Blender cannot read is kept in the folder of downloads. Raises ServiceError.
    """
    group, operator = IMPORTERS.get(file_format, ("", ""))
    if not operator or operator not in dir(getattr(bpy.ops, group)):
        return f"Blender cannot import {file_format.upper()}: kept as {_kept(file)}"
    if bpy.context.mode != "OBJECT":
        bpy.ops.object.mode_set(mode="OBJECT")
    before = set(bpy.data.objects)
    try:
        getattr(getattr(bpy.ops, group), operator)(filepath=str(file))
    except RuntimeError as error:
        raise ServiceError(f"Blender could not import the model, kept as {_kept(file)}: {error}") from error
    for image in bpy.data.images:  # textures beside the file go away with it
        if image.source == "FILE" and not image.packed_file and str(file.parent) in image.filepath:
            image.pack()
    made = [one for one in bpy.data.objects if one not in before]
    roots = [one for one in made if one.parent not in made]
    for one in bpy.context.selected_objects:
        one.select_set(False)
    for one in made:
        one.select_set(True)
    for root in roots:
        root.location += bpy.context.scene.cursor.location
        root.name = Path(name).stem or root.name
    bpy.context.view_layer.objects.active = roots[0] if roots else None
    return f"Imported the model of {name}"


def _kept(file):
    """Where a copy of the file is kept: in the folder of downloads, under a name that is free."""
    folder = Path.home() / "Downloads"
    folder.mkdir(parents=True, exist_ok=True)
    target, number = folder / file.name, 2
    while target.exists():
        target, number = folder / f"{file.stem}-{number}{file.suffix}", number + 1
    shutil.copyfile(file, target)
    return target


class Preferences(bpy.types.AddonPreferences):
    """Where the service is, and the key for it."""

    bl_idname = ADDON

    url: bpy.props.StringProperty(
        name="Service", description="Address of the service; empty: I2M_URL, or this machine"
    )
    api_key: bpy.props.StringProperty(
        name="API key", subtype="PASSWORD", description="Empty: I2M_API_KEY, or none"
    )

    def draw(self, _):
        self.layout.prop(self, "url", text_ctxt="", placeholder="http://127.0.0.1:8000")
        self.layout.prop(self, "api_key")


def _model_search(_, __, text):
    return [one for one in _models if text.lower() in " ".join(one).lower()]


class Choice(bpy.types.PropertyGroup):
    """What the panel sends."""

    source: bpy.props.EnumProperty(
        name="Send",
        items=[
            ("FILE", "File", "A picture on the disk"),
            ("IMAGE", "Image", "An image of this file"),
            ("RENDER", "Render", "The current render result"),
        ],
    )
    filepath: bpy.props.StringProperty(name="Picture", subtype="FILE_PATH")
    image: bpy.props.PointerProperty(name="Image", type=bpy.types.Image)
    model: bpy.props.StringProperty(
        name="Model", search=_model_search, description="Empty: the service's default", options={"SKIP_SAVE"}
    )


class _InThread:
    """An operator whose work is a thread: `_begin` makes it, `_end` runs in Blender when it has ended."""

    def execute(self, context):
        try:
            self._work = self._begin()
        except ServiceError as error:
            return self._failed(error)
        self._work.start()
        if bpy.app.background:
            self._work.join()
            return self._ended()
        self._timer = context.window_manager.event_timer_add(0.25, window=context.window)
        context.window_manager.modal_handler_add(self)
        return {"RUNNING_MODAL"}

    def modal(self, context, event):
        if event.type != "TIMER":
            return {"PASS_THROUGH"}
        context.workspace.status_text_set(f"image2model: {self._work.phase}")
        for area in context.screen.areas:
            area.tag_redraw()
        if self._work.is_alive():
            return {"PASS_THROUGH"}
        context.window_manager.event_timer_remove(self._timer)
        context.workspace.status_text_set(None)
        return self._ended()

    def _ended(self):
        try:
            self.report({"INFO"}, self._end(self._work))
        except ServiceError as error:
            return self._failed(error)
        return {"FINISHED"}

    def _failed(self, error):
        self.report({"ERROR"}, str(error))
        return {"CANCELLED"}


class Generate(_InThread, bpy.types.Operator):
    """Send a picture to the service and import the model that it makes"""

    bl_idname = "image2model.generate"
    bl_label = "Make a 3D model"
    bl_options = {
        "UNDO"
    }  # not REGISTER: Blender would run it again, and pay again, for a change of a setting

    source: bpy.props.StringProperty(default="FILE")
    filepath: bpy.props.StringProperty(subtype="FILE_PATH")
    image_name: bpy.props.StringProperty()
    model: bpy.props.StringProperty()

    def _begin(self):
        name, picture = picture_of(self.source, self.filepath, self.image_name)
        making = Making(service(), name, picture, self.model)
        _running.append(making)
        return making

    def _end(self, making):
        if making in _running:  # else the add-on was turned off and on
            _running.remove(making)
        try:
            if making.error:
                raise ServiceError(making.error)
            return import_model(making.file, making.format, making.picture_name)
        finally:
            making.clean_up()

    def cancel(self, _):
        """Blender opens another file, where the model does not belong."""
        self._work.abandon()
        if self._work in _running:
            _running.remove(self._work)


class Cancel(bpy.types.Operator):
    """Stop making this model; what FAL has begun may still be billed"""

    bl_idname = "image2model.cancel"
    bl_label = "Cancel"

    index: bpy.props.IntProperty()

    def execute(self, _):
        for making in _running[self.index : self.index + 1]:
            making.cancel()
        return {"FINISHED"}


class RefreshModels(_InThread, bpy.types.Operator):
    """Read the list of models from the service"""

    bl_idname = "image2model.refresh_models"
    bl_label = "Read the list of models"

    def _begin(self):
        return Listing(service())

    def _end(self, listing):
        if listing.error:
            raise ServiceError(listing.error)
        _models[:] = listing.models
        return f"{len(_models)} models"


class Panel(bpy.types.Panel):
    """The tab in the sidebar of the 3D view."""

    bl_idname = "VIEW3D_PT_image2model"
    bl_label = "image2model"
    bl_category = "image2model"
    bl_space_type = "VIEW_3D"
    bl_region_type = "UI"

    def draw(self, context):
        layout, choice = self.layout, context.window_manager.image2model
        layout.row().prop(choice, "source", expand=True)
        if choice.source != "RENDER":
            layout.prop(choice, "filepath" if choice.source == "FILE" else "image")
        row = layout.row(align=True)
        row.prop(choice, "model")
        row.operator(RefreshModels.bl_idname, text="", icon="FILE_REFRESH")
        make = layout.operator(Generate.bl_idname)
        make.source, make.filepath, make.model = choice.source, choice.filepath, choice.model
        make.image_name = choice.image.name if choice.image else ""
        for index, making in enumerate(_running):
            row = layout.row()
            row.progress(factor=making.progress, text=f"{making.picture_name}: {making.phase}")
            row.operator(Cancel.bl_idname, text="", icon="X").index = index


CLASSES = (Preferences, Choice, Generate, Cancel, RefreshModels, Panel)


def register():
    """Called by Blender when the add-on is turned on."""
    for one in CLASSES:
        bpy.utils.register_class(one)
    bpy.types.WindowManager.image2model = bpy.props.PointerProperty(type=Choice)


def unregister():
    """Called by Blender when the add-on is turned off. Jobs go on on the service."""
    while _running:
        _running.pop().abandon()
    _models.clear()
    del bpy.types.WindowManager.image2model
    for one in reversed(CLASSES):
        bpy.utils.unregister_class(one)
