"""What all HTTP handlers share: bodies, problems, the documents of jobs, the upload reader, the write probe.

It may import the store's rows and conditions, and nothing of a concept. No use case belongs here.
"""
