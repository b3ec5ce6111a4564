"""``explorer.html``: the clips behind the figures, in one file that opens offline."""
