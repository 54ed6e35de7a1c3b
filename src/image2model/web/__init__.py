"""The page at `/` and the one of the API reference: their files, and the HTTP that serves them.

Who calls it: the command line, which joins it to the API's application. It talks to nothing: what a page
shows, the browser asks the API for.
"""

from image2model.web.policy import media_origins
from image2model.web.routes import routes

__all__ = ["media_origins", "routes"]
