"""Conformance: whether a service, ours or another's, keeps the contract."""
