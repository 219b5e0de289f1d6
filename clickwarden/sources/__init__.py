"""What brings records into a topic; what it has taken survives kill -9."""
