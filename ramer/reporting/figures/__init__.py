"""The report's figures, each as PNG for the page and as PDF for a paper."""
