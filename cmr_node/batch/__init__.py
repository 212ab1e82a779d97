"""The folder tool: what the node does to studies, done to a tree of files."""
