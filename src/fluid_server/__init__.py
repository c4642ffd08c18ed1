"""Fluid Server: a local AI server that speaks OpenAI's API."""

__version__ = "0.1.0"
