"""Reads history again, to judge what was said of it, and what other rules would have said.

The recount and the oracle share no code with the detection; a trial is the detection itself.
"""
