"""CMR Node: a PACS node that brings cardiac MR studies to the standard view."""

__version__ = "0.1.0"
