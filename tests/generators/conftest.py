"""The whole service as a process, without keys."""

from tests.support.up_process import running

__all__ = ["running"]
