"""Learning from rows: the training loop, encoders, states, and the batches that a mask leaves."""
