"""A worker that asks a failing server of pictures a second time at once, and then gives up.

`python -m tests.support.hasty_fetcher worker`: for tests of what follows, which must not wait for a minute.
"""

from image2model.cli import main
from image2model.worker.process import WorkerContext

if __name__ == "__main__":
    WorkerContext.fetch_pauses = (0.1,)
    main()
