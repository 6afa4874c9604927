"""The steps that bring a database from one version's tables to the next one's."""
