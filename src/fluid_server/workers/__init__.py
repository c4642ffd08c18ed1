"""HOW DOES A MODEL LIVE IN ITS OWN PROCESS? `loop` is the child's side, `handle` the server's."""
