"""The attacks, wire by wire, written by hand and independent of the gateway."""
