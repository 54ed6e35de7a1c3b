"""What `image2model submit` does: from paths to saved models, safe to interrupt and to run again.

Who calls it: the command. Order of a run: `collect` finds the pictures, `naming` gives each its place,
`ledger` remembers what was sent, `flow` sends, follows and saves, a `board` shows it.
"""
