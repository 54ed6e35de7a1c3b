"""Jobs as clients see them: uploaded, quoted, listed, cancelled, retried, downloaded, deleted.

A job's handlers, use cases and scripts belong here. They enqueue work through `queue` and must never ask FAL
for what costs money. Each change of a job is one script.
"""
