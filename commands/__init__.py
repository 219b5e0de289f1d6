"""The commands: ``faust -A app COMMAND``."""
