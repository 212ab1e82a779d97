"""Numbers from masks: volumes, function, mass, and which of them can be trusted.  No DICOM here."""
