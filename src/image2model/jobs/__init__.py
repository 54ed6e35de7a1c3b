"""Jobs as clients see them: accepted, listed, cancelled, retried, downloaded."""
