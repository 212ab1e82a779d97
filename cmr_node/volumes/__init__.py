"""Volumes in one file, NIfTI and MetaImage: read within bounds, re-indexed, proved."""
