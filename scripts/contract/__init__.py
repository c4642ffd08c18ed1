"""Does a server do what OpenAI's contract says? A table of requests, each with a check of what comes back."""
