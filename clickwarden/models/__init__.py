"""Learned detectors: what a pipeline is, the features of its records, and the models that score them.

Records are handed in, in the order of their log. No Faust, no Kafka and no clock of its own.
"""
