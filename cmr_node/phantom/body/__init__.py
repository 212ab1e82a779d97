"""The simulated patient: which tissue is at a place (LPS, mm) in a phase of the beat."""
