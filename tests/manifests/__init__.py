"""The compose file and the Kubernetes manifests against their official schemas: `make manifests`."""
