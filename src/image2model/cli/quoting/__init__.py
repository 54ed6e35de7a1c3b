"""What `image2model quote` does: the price of a `submit`, by its own rules, before anything is bought.

Who calls it: the command. Order of a quote: `session` plans as `submit` does, `asking` has the service judge
what would be sent, `words` says it.
"""
