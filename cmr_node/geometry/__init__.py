"""Where pixels are in the patient. No DICOM library is known here."""
