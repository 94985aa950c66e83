"""A running system tried from the outside: conformance, smoke, verification, and what these ask."""
