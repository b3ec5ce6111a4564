"""Figures as they are read: fractions in percent points with one decimal, things with their number."""


def points(value: float) -> str:
    """A fraction in percent points, one decimal."""
    return f"{100 * value:.1f}"


def signed(value: float) -> str:
    """A difference of fractions in points, with its sign (a real minus sign); what rounds to zero has none.

    Example:
        >>> signed(0.0123), signed(-0.0004), signed(0.0004)
        ('+1.2', '0.0', '0.0')
    """
    text = f"{100 * value:+.1f}"
    return "0.0" if float(text) == 0 else text.replace("-", "−")  # noqa: RUF001


def counted(number: int, what: str) -> str:
    """A number of things in words.

    Example:
        >>> counted(1, "clip"), counted(1200, "clip")
        ('1 clip', '1,200 clips')
    """
    return f"{number:,} {what}{'s' * (number != 1)}"
