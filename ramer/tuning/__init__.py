"""Search for a method's options on validation rows, by any number of processes."""
