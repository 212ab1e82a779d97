"""The one door to the queue engine: submit jobs, work on them, survive the workers' deaths.

``queue`` is the side of those who submit and ask; ``worker`` of those who work; ``slots`` the
parent of several workers; ``takeover`` finds the dead.  ``engine`` alone knows DBOS, ``ledger``
and ``tables`` keep what the engine does not.
"""
