"""Simulated images as DICOM, as three vendors write them."""
