"""`image2model up`, from the flags to the exit code.

Who calls it: the command line.
"""

from pathlib import Path

from image2model.up.children import count_into
from image2model.up.guard import Guard
from image2model.up.lock import FolderLock
from image2model.up.plan import (
    FolderInUse,
    Plan,
    StartError,
    UpOptions,
    make_plan,
    metrics_folder,
    say,
    say_hello,
)
from image2model.up.signals import Signals
from image2model.up.supervisor import Supervisor


def run(options: UpOptions) -> int:
    """Run until SIGINT or SIGTERM, then 0. Raises ConfigurationError, StartError."""
    lock = _data_lock(plan := make_plan(options))
    try:
        _empty(metrics_folder(plan.data_dir))
        count_into(metrics_folder(plan.data_dir))
        with Signals() as signals, Guard() as guard:
            say_hello(plan)
            Supervisor(plan, signals, guard).run()
    finally:
        lock.release()
    say("stopped")
    return 0


def _empty(folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    for file in folder.glob("*.db"):
        file.unlink()


def _data_lock(plan: Plan) -> FolderLock:
    try:
        plan.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        reason = "a file is there" if isinstance(error, FileExistsError) else error.strerror
        raise StartError(
            f"the data folder {plan.data_dir} cannot be made: {reason}; choose another with I2M_DATA_DIR"
        ) from error
    lock = FolderLock(plan.data_dir / "up.lock")
    try:
        lock.acquire()
    except FolderInUse:
        raise FolderInUse(
            f"another `up` runs on {plan.data_dir}; stop it, or choose another folder with I2M_DATA_DIR"
        ) from None
    return lock
