"""The API process: assembles the handlers of all concepts into one HTTP application and serves it.

Here are the application, its routes, middleware and lifespan, the server, and the OpenAPI document. Handlers
live with their concepts (`jobs.http`, `access.http`, ...). This package may import every concept, but never
`worker` or `web`, and it contains no use case of its own.
"""
