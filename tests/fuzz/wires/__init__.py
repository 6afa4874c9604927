"""The wire formats' grammars: how answers are built, and what may be wrong with them."""
