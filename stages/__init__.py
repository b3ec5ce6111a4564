"""What DVC calls: python -m stages.<name> [item], each one function of ramer.pipeline."""
