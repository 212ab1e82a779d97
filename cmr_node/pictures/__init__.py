"""Pictures for people: how a stack was stored and how it is now, side by side."""
