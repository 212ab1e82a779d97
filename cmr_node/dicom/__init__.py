"""Data sets read within bounds: headers from bytes, stored words from pixel data."""
