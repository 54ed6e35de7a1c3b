"""The product under test: all that the bench uses of its modules in its own process.

`make bench BESIDE=REV` runs the same rows against another revision's modules, which may lie elsewhere or have
other names. So rows, world and yardsticks import the product only from here, and nothing from `tests.support`
that imports it. One module beside this one knows one layout of the product's modules. When they move, add a
module for the new layout, try it first here, and keep the old one as it is.
"""

from importlib.util import find_spec
from typing import TYPE_CHECKING

if TYPE_CHECKING or find_spec("image2model.access"):
    from tests.bench.product_by_concept import (
        WORKER_READY,
        EmbeddedStore,
        Progress,
        Submitted,
        connect,
        create_job,
        errors,
        finished_at,
        image_ids,
        look_ahead,
        make_key,
        progress,
        put_picture,
        settle,
        submit,
        tell_position,
    )
else:
    from tests.bench.product_by_layer import (
        WORKER_READY,
        EmbeddedStore,
        Progress,
        Submitted,
        connect,
        create_job,
        errors,
        finished_at,
        image_ids,
        look_ahead,
        make_key,
        progress,
        put_picture,
        settle,
        submit,
        tell_position,
    )

__all__ = [
    "WORKER_READY",
    "EmbeddedStore",
    "Progress",
    "Submitted",
    "connect",
    "create_job",
    "errors",
    "finished_at",
    "image_ids",
    "look_ahead",
    "make_key",
    "progress",
    "put_picture",
    "settle",
    "submit",
    "tell_position",
]
