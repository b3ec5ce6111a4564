"""Passwords and tokens taken out of what is shown or written."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterator, Mapping
from urllib.parse import unquote

_USER = re.compile(r"(?<=://)[^\s/?#'\"<>]*@")
# Without a scheme, as git and careless settings have it: a user alone is no secret.
_BARE_USER = re.compile(r"(?<![\w.%+/@:-])[\w.%+-]+:[^\s/?#'\"<>@]+@(?=[\w\[])")
_QUERY = re.compile(
    r"([?&;#][^\s=&#'\"]*(?:pass|pwd|secret|token|key|sig|credential|auth|access|code)[^\s=&#'\"]*=)[^\s&#'\"]+",
    re.IGNORECASE,
)
_BARE_SETTING = re.compile(r"[\w.%+-]+:(.+)@[\w.\[\]:/-]+")
# Names of environment variables that hold a secret as it is.
_SECRET = re.compile(r"(?:PASSWORD|PASSWD|TOKEN|SECRET|SECRET_KEY|ACCESS_KEY|API_KEY)$")
_SHORTEST = 4  # a shorter secret would blot out half of every text
_HIDDEN = "***"


def without_credentials(text: str, environment: Mapping[str, str] = os.environ) -> str:
    """Text without the user and password of any URI in it, without keys in queries, and without known secrets.

    Args:
        environment: variables that are a URI or a secret: what they hide goes, in whatever shape a library shows it.
    """
    for secret in _known(environment):
        text = text.replace(secret, _HIDDEN)
    return _QUERY.sub(rf"\1{_HIDDEN}", _BARE_USER.sub("", _USER.sub("", text)))


def _known(environment: Mapping[str, str]) -> Iterator[str]:
    for name, value in environment.items():
        if "://" in value:
            user, found, _ = value.partition("://")[2].rpartition("@")
            password = user.partition(":")[2] or user
            # A `/` in a password ends the host for everybody else.
            secrets = {user, password, unquote(password)} if found else set()
            yield from sorted((s for s in secrets if len(s) >= _SHORTEST), key=len, reverse=True)
        elif (bare := _BARE_SETTING.fullmatch(value)) and len(bare[1]) >= _SHORTEST:
            yield bare[1]
        elif _SECRET.search(name.upper()) and len(value) >= _SHORTEST:
            yield value


class PlainFormatter(logging.Formatter):
    """Messages as they are, without credentials."""

    def format(self, record: logging.LogRecord) -> str:
        return without_credentials(super().format(record))
