"""Pictures and models as bytes: what they are, whether they are whole, and pictures made plain.

Called by the upload (structure only) and by the worker (pixels, models). It never touches the
network, the store or the disk, and nothing here may run pixels on the event loop.
"""
