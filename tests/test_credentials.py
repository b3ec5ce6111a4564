"""No password is shown."""

from __future__ import annotations

import logging

import pytest

from ramer.credentials import PlainFormatter, without_credentials


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("at https://me:word@lab.example:5000/x: refused", "at https://lab.example:5000/x: refused"),
        ("s3://key:secret@bucket/a and ssh://me@host:22/b", "s3://bucket/a and ssh://host:22/b"),
        ("https://lab.example/x?sig=abc&v=1&api_key=def", "https://lab.example/x?sig=***&v=1&api_key=***"),
        ("postgresql://lab/db?user=me&password=word", "postgresql://lab/db?user=me&password=***"),
        ("write to me@example.org, see /srv/a@b or models:/ramer@champion", None),
        ("sqlite:////srv/a@b/mlflow.db", None),
        ("no cluster at 'me:word@head.example:6379'", "no cluster at 'head.example:6379'"),
        ("NOT logged to MLflow at me:word@127.0.0.1:5000: refused", "NOT logged to MLflow at 127.0.0.1:5000: refused"),
        ("me:word@lab.example:/srv/x and git@lab.example:ramer", "lab.example:/srv/x and git@lab.example:ramer"),
        (
            "https://lab.example/x?pwd=abc and /x#access_token=abc",
            "https://lab.example/x?pwd=*** and /x#access_token=***",
        ),
        ("corpus.npz: row 3: expected me@example.org, got a:b @ c", None),
    ],
)
def test_a_uri_is_shown_without_who_uses_it(text: str, expected: str | None) -> None:
    assert without_credentials(text, {}) == (expected or text)


@pytest.mark.parametrize("shown", ["p%40ss/word", "p@ss/word", "me:p%40ss/word"])
def test_what_a_setting_hides_is_hidden_in_every_shape(shown: str) -> None:
    environment = {"MLFLOW_TRACKING_URI": "postgresql://me:p%40ss/word@lab/db", "MLFLOW_TRACKING_TOKEN": "t0k3n"}
    said = without_credentials(f"login failed: {shown} (t0k3n)", environment)
    assert said == "login failed: *** (***)"


def test_a_setting_without_a_scheme_hides_its_password_too() -> None:
    said = without_credentials(
        "login failed: w/rd", {"MLFLOW_TRACKING_URI": "me:w/rd@lab.example:5000", "PS1": "\\u@\\h:"}
    )
    assert said == "login failed: ***"


def test_a_log_line_is_written_without_credentials() -> None:
    record = logging.LogRecord("lib", logging.ERROR, __file__, 1, "no %s", ("https://me:word@lab.example",), None)
    assert PlainFormatter().format(record) == "no https://lab.example"
