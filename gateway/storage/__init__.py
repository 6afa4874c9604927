"""What outlives the process: tables, queries, and the way of records into them."""
