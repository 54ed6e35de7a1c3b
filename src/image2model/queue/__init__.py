"""Which image runs when and where: leases, permits, circuits, dispatch. It knows no step of a generation."""
