"""Faults of upstreams and clients, as rows of data; the ids are those of the project's fault list."""
