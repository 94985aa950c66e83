"""The worker: outbox relay, stream consumer and rescuer, with health and metrics."""
