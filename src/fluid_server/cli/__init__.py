"""WHAT DOES A PERSON TYPE? One file a verb."""
