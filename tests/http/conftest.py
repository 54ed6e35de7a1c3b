"""Served edges for the tests of this folder."""

from tests.support.upload_edge import edge, make_edge

__all__ = ["edge", "make_edge"]
