"""What a stack shows, how sure that is, and what to do about it."""
