"""HOW DOES EACH BACKEND DO THE WORK? One file a backend, found by name in `table`, imported late."""
