"""The address guard: which addresses of the internet this service calls on somebody else's word.

Who calls it: webhooks to clients, and downloads of result files from hosts that are not FAL's. It knows
neither of them, and never connects to an address that it has not checked itself.
"""
