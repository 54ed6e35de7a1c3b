"""`image2model up`, from the flags to the exit code."""

from pathlib import Path

from image2model.up.children import share_counts
from image2model.up.errors import FolderInUse, StartError
from image2model.up.guard import Guard
from image2model.up.lock import FolderLock
from image2model.up.plan import (
    Plan,
    UpOptions,
    make_plan,
    metrics_folder,
    print_banner,
    print_line,
)
from image2model.up.signals import Signals
from image2model.up.supervisor import Supervisor


def run(options: UpOptions) -> int:
    """Run until SIGINT or SIGTERM, then 0. Raises ConfigurationError, StartError."""
    lock = _data_lock(plan := make_plan(options))
    try:
        _empty(metrics_folder(plan.data_dir))
        share_counts(metrics_folder(plan.data_dir))
        with Signals() as signals, Guard() as guard:
            print_banner(plan)
            Supervisor(plan, signals, guard).run()
    finally:
        lock.release()
    print_line("stopped")
    return 0


def _empty(folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    for file in folder.glob("*.db"):
        file.unlink()


def _data_lock(plan: Plan) -> FolderLock:
    try:
        plan.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        reason = "a file has this name" if isinstance(error, FileExistsError) else error.strerror
        raise StartError(
            f"the data folder {plan.data_dir} cannot be created: {reason}; choose another with I2M_DATA_DIR"
        ) from error
    lock = FolderLock(plan.data_dir / "up.lock")
    try:
        lock.acquire()
    except FolderInUse:
        raise FolderInUse(
            f"another `up` runs on {plan.data_dir}; stop it, or choose another folder with I2M_DATA_DIR"
        ) from None
    return lock
