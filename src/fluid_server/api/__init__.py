"""WHAT DOES THE OUTSIDE SAY TO US? Schemas at the door, one file a resource, one table of statuses."""
