"""The one entrance: ingest, routing, sessions, timeline, streams of events, provider runs."""
