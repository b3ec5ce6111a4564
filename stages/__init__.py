"""What DVC calls: python -m stages.<name> [item], each one function of ramer.pipeline."""

from ramer.starting import start

# Here, before a stage imports anything: loading takes a second, in which Ctrl+C may come.
start()
