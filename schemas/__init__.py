"""Wire formats as narrow msgspec structs, one module per format."""
