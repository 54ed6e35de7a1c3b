"""Everything that this service exchanges with FAL: the endpoint table, and the gateway for every call.

The only package that knows FAL's wire format. It knows nothing of jobs, of the store or of our own HTTP
interface, and FAL's key must never be sent to a host that is not FAL's.
"""
