"""The stages of the pipeline, one file each: all that sees the whole configuration."""
