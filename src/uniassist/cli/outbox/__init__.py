"""`uniassist outbox …`."""
