"""`image2model watch`: pictures that appear in a folder become models.

Who calls it: the command. It sends by way of `cli.submit`, whose ledger remembers what was sent.
"""
