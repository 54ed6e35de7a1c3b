"""Who may do what, and how much: keys, sessions, rates, budgets."""
