"""The catalogue of FAL's endpoints while the service runs: read from FAL, kept, and offered to callers.

One worker of the fleet reads FAL's list (`refresh`); the store holds the last good copy (`stored`); each
process holds it decoded (`live`). What a caller may use of it is decided in `offer`, and shown by `http`.

No request waits for FAL: until a copy was read, the built-in one serves. A failure never makes the copy
smaller. What an endpoint looks like, and what it costs, is `fal.endpoints`' business.
"""
