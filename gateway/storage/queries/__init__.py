"""Every query, as a function of a connection."""
