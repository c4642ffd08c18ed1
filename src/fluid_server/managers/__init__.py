"""WHAT IS IN MEMORY NOW? Slots and their states, leases, and the pure decisions: which runtime, who must go."""
