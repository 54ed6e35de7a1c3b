"""The whole service in processes of its own."""

from tests.support.up_process import running

__all__ = ["running"]
