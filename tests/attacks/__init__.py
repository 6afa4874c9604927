"""What an upstream, or a client's history, may try so that a refused tool call reaches the client: every attack as data."""
