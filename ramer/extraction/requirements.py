"""What extraction needs beyond ramer's own dependencies; importing this loads none of it."""

from __future__ import annotations

from importlib.util import find_spec

from ramer.errors import ConfigError

PACKAGES = ("av", "cv2", "opensmile", "skimage", "transformers")  # of the extra "extract", by what is imported


def check_packages(wanted_by: str) -> None:
    """Refuse to go on without the extra ``extract``.

    Raises:
        ConfigError: a package is not installed; the line begins with ``wanted_by``.
    """
    lacking = [name for name in PACKAGES if find_spec(name) is None]
    if lacking:
        raise ConfigError(
            f"{wanted_by}: not installed: {', '.join(lacking)}; expected the extra extract (make extraction)"
        )
