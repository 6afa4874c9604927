"""The features, each provider-neutral; their order is the list in ``app.py``."""
