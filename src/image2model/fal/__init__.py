"""FAL: the table of endpoints, and the gateway through which everything goes to FAL and comes back.

Who calls it: the service and the worker. The one package that knows FAL's wire; it knows nothing of
jobs, of the store or of our own HTTP.
"""
