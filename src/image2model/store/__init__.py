"""The state of the service in Redis or Valkey.

Every change is one Lua script behind a typed function; `keys` knows the names, `arq_keys` ARQ's.
Who calls it: the use cases, the worker and the API. It never talks to FAL nor to the file storage.
"""
