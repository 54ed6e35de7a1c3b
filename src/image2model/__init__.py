"""image2model: batches of pictures in, 3D models out, through FAL.AI."""

__version__ = "0.1.0"
