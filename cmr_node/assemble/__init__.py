"""From instances to complete studies, sequences and stacks."""
