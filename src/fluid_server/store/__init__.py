"""WHAT DO WE REMEMBER? Stored chat completions, conversations and responses, in SQLite or PostgreSQL."""
