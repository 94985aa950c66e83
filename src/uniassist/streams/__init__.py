"""Redis Streams: append to both streams in one step, and the wake-up hint."""
