"""WHAT MODELS ARE THERE? Finds and names the models on disk by reading their files, never by loading them."""
