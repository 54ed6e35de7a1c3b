"""The use cases: what a client or a worker may ask for, put together from store, storage, media and FAL.

Who calls it: the API and the worker, which talk to each other only through here and the store.
"""
