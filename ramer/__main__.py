"""``python -m ramer`` is the command ``ramer``."""

from ramer.cli import app

app(prog_name="ramer")
