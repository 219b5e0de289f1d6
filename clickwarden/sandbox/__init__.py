"""Kafka and made-up traffic on this machine: nothing a deployment needs."""
