"""The delivery engine: what decides when an outbox event is tried again, and how it is published."""
