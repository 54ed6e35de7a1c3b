"""Pictures and models as bytes: their format, whether they are complete, pictures prepared for FAL, numbers
of models.

The upload reads structure only; decoding pixels belongs to the worker. Nothing here touches the network, the
store or the disk, and pixels must never be decoded on the event loop: call those functions in a thread.
"""
