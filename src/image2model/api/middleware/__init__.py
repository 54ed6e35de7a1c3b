"""Pure ASGI middleware around the routes, outermost first:

`RequestId`, `RequestSpan` (if traces are on), `AccessLog`, `SecurityHeaders`, `RefusalDrain`,
`ProblemAnswers`, `SiteGuard` or `HostCheck`. None of them parses a body (`RefusalDrain` drops what the
handler left unread), talks to the store, or keeps state of one request for the next.
"""

from image2model.api.middleware.access_log import AccessLog
from image2model.api.middleware.problems import ProblemAnswers, RequestId
from image2model.api.middleware.refusal_drain import RefusalDrain
from image2model.api.middleware.request_span import RequestSpan
from image2model.api.middleware.security_headers import SecurityHeaders
from image2model.api.middleware.site_guard import HostCheck, SiteGuard

__all__ = [
    "AccessLog",
    "HostCheck",
    "ProblemAnswers",
    "RefusalDrain",
    "RequestId",
    "RequestSpan",
    "SecurityHeaders",
    "SiteGuard",
]
