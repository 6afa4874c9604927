"""Answers made from a grammar, and mutated: what any client sees of them is what policies allow."""
