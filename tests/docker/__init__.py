"""The compose demo in a real Docker engine."""
