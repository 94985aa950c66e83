"""Fronts: other people's protocols, spoken over the ingest and the timeline that apps and channels have."""
