"""What is remembered where the services run: kept releases, runs with their journals, the lock."""
