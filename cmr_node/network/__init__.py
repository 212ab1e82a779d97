"""The door in and the door out: C-STORE SCP and SCU, and who may use them."""
