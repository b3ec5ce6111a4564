"""What a comparison says: summary, findings, figures, the page, tables for the terminal and for papers."""
