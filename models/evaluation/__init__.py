"""What the networks can do, on patients they were not trained on."""
