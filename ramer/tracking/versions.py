"""A version of a registered model by its address."""

from __future__ import annotations

import re

from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException

from ramer.errors import ModelError
from ramer.serving.registered import ABSENT, way_to_alias

_VERSION = re.compile(r"models:/([^/@]+)(?:/(\d+)|@([^/@]+))")


def find_version(client: MlflowClient, uri: str) -> ModelVersion:
    """The version that ``models:/name/3`` or ``models:/name@alias`` names.

    Raises:
        ModelError: the address is of another form; no such version, and then what gives an alias of ours.
    """
    parts = _VERSION.fullmatch(uri)
    if parts is None:
        raise ModelError(f"{uri}: expected models:/NAME/VERSION or models:/NAME@ALIAS")
    name, number, alias = parts.groups()
    try:
        return client.get_model_version(name, number) if number else client.get_model_version_by_alias(name, alias)
    except MlflowException as error:
        if error.error_code not in ABSENT:
            raise
        way = way_to_alias(uri, error.error_code)
        raise ModelError(f"{uri}: no such version in the registry{way and f': {way}'}") from None
