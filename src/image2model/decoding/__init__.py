"""Decoding in processes of its own: what a decoder does to its process harms nobody else.

`process` is the owner's side of one, `child` the program, `pool` a few of them that serve many callers.
"""
