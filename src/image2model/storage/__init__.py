"""Files of ours: what was uploaded, what came out, thumbnails; on disk, in S3 or in memory.

Called by service, worker and API through `objects.ObjectStorage`. It knows nothing of jobs except the
names in `layout`, and never the store or FAL.
"""
