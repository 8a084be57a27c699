"""The room `doctor`."""
