"""The door: faces found, aligned, embedded and compared."""
