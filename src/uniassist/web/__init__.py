"""The HTTP side of every service: app factory, problem details, health, OpenAPI, signing, client, server."""
