"""The image, tried as a container: `make image-smoke`. Wants root; no part of `make test`."""
