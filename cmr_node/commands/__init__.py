"""What each command of ``cmr-node`` does; ``cli`` only chooses among them."""
