"""What is kept: one Faust table a module."""
