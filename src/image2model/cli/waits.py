"""Why a job waits, in words, and what becomes of it.

Who calls it: the terminal's boards, and `status`, `cancel` and `retry`.
"""

from typing import Final

_REASONS: Final = {
    "limit": "Waiting: as many pictures as allowed are at FAL; the rest follow as they finish.",
    "account": "Waiting: FAL refuses the service's account (key or balance). Its operator can mend that; "
    "nothing is lost.",
    "fal": "Waiting: FAL is not answering. It goes on by itself once FAL is back.",
    "endpoint": "Waiting: FAL refuses this model, or fails at it. It is tried from time to time; other "
    "models go on.",
    "paused": "Waiting: the service's operator has paused the queue.",
}


def waiting_words(reason: str) -> str:
    """A reason of the service as a sentence; one that this client does not know by its name."""
    return _REASONS.get(reason, f"Waiting: {reason}.")
