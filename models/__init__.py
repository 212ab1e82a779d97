"""The networks: how they are made.

The promise kept here: whatever needs torch is in this package, which may use ``cmr_node`` and is
never used by it; the service runs what was made here without torch.

    draws       what is drawn for one simulated image: contrast, coils, artefacts, as numbers
    rendering   the images themselves on CPU or GPU, many at a time, and a source of batches
"""
