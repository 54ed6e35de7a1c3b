"""For how long the files of a result are tried, in one place so that tests can be less patient.

Who calls it: the context holds it, the fetching of results and files asks it.
"""

import msgspec


class FilePatience(msgspec.Struct, frozen=True):
    """Seconds, and numbers of tries.

    `grace`: for how long FAL may deny a result or a model, from the first time on, before it is believed.
    `model`: for how long a result or a model that cannot be reached is tried: FAL keeps a small result for an
    hour, one of 10 KB or more for minutes. `silence`: how long a file beside the model may bring no byte,
    `side`: how long it may take.
    `side_tries` bounds the tries of such a file, `cut_tries` those of a GLB that is shorter than it says.
    """

    grace: float
    model: float = 1800.0
    side: float = 3600.0
    silence: float = 30.0
    side_tries: int = 4
    cut_tries: int = 3
    longest_pause: float = 10.0
