"""Stored settings of a transfer in the formats of other programs: one module a format, `formats` lists them."""
