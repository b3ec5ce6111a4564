"""``ramer`` and ``python -m ramer``. Nothing that takes time is imported before Ctrl+C has its answer."""

from ramer.starting import run_program, start


def main() -> None:
    """The command ``ramer``."""
    start()
    from ramer.cli import app

    run_program(lambda: app(prog_name="ramer"))


if __name__ == "__main__":
    main()
