"""Everything that is kept: one database, SQLite or PostgreSQL, chosen by its URL.

``tables`` declares the schema once, ``migrations`` bring a database to it, ``queries`` holds every query as a
function of a connection; nothing else writes SQL. A ``Database`` lends the connections.
"""
