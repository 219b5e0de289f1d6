"""What anomalies mean to people."""
