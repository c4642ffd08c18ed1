"""OpenAI's API, one file a resource. The files do not know each other."""
