"""The wire types of the v0 contract. JSON Schemas are generated from them (`make schemas`)."""
