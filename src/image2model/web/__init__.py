"""The web page at `/` and the API reference page: their files, and the routes that serve them.

The command line adds the routes to the API's application. This package talks to nothing: the browser requests
from the API what a page shows. The files contain no secret and need no key.
"""

from image2model.web.policy import media_origins
from image2model.web.routes import routes

__all__ = ["media_origins", "routes"]
