"""FAL on this machine: a program of its own that speaks FAL's HTTP and makes real GLB files.

It imports nothing of image2model, nor the reverse.
"""
