"""Stored files: uploaded pictures, results and thumbnails, in a local folder, in S3 or in memory.

`objects.ObjectStorage` is the way in; `layout` is the only module that knows the object names. This package
imports nothing of jobs, of the store or of FAL, and nothing here may block the event loop.
"""
