"""Wire shapes: what a request may hold, and what an answer looks like."""
