"""The operators' port: a second application, which the proxy does not know of."""
