"""The numbers an upload is held to. Who calls it: the reader and its tests. It only holds them."""

import msgspec

MIB = 1 << 20

FIELDS = frozenset({"model", "face_limit", "params", "webhook_url", "priority", "no_cache", "on_invalid"})
"""The part names besides `files`; each may come once."""


class UploadLimits(msgspec.Struct, frozen=True):
    """Sizes in bytes, times in seconds, rates in bytes a second."""

    max_files: int = 25
    max_file_bytes: int = 10 * MIB
    max_field_bytes: int = 64 << 10
    max_parts: int = 64
    max_header_bytes: int = 4 << 10
    max_headers: int = 8
    max_boundary_bytes: int = 200
    files_in_flight: int = 2
    """Complete files of one upload that may wait for their hash and their sink at once."""
    min_rate: int = 16 << 10
    rate_window: float = 10.0
    """A sender below `min_rate` over this long is cut off; time that we make it wait does not count."""

    crowded_grace: float = 30.0
    crowded_rate: int = 64 << 10
    """While others wait for memory, a body gets this grace and then the time that it takes at this rate: who
    trickles just over `min_rate` would keep them waiting."""
    max_seconds: float = 3600.0
    """The most that a body may take in any case, our own waits not counted."""

    @property
    def max_body_bytes(self) -> int:
        """The body limit: all files at their limit and 1 MiB for everything else."""
        return self.max_files * self.max_file_bytes + MIB
