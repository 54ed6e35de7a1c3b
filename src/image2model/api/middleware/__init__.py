"""Pure ASGI middleware. Who calls it: the application, which puts them around its routes in this order:

`RequestId`, `RequestSpan` (where traces are on), `AccessLog`, `SecurityHeaders`, `RefusalDrain`,
`ProblemAnswers`, `SiteGuard` or `HostCheck` (outermost first). None of them reads a body (`RefusalDrain`
drops what nobody read), knows a store, or holds state between requests.
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
