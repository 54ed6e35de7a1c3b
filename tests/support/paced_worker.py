"""`python -m tests.support.paced_worker FIRST LAST WITHIN`: a worker with a pace of its own, in seconds.

Started by the fleet's tests, which cannot wait for half a minute.
"""

import sys

from image2model.cli import main
from image2model.queue import circuits
from image2model.queue.circuits import Pace

if __name__ == "__main__":
    circuits.PACE = Pace(*map(float, sys.argv[1:4]))
    sys.argv = ["image2model", "worker"]
    main()
