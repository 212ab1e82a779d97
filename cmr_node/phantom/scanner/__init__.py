"""The simulated scanner: planes, signals, what receiving does to them, and pictures."""
