"""The address guard: which internet addresses this service calls at the request of a client.

It protects outgoing webhooks, and downloads of result files from hosts that are not FAL's. It never connects
to an address that it has not checked itself.
"""
