"""The objects the node makes, one file per object."""
