"""Reads history again, to judge what was said of it. Shares no code with the detection."""
