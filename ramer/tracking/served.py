"""The model that MLflow loads and serves, as code: this file goes into the model, no pickle does."""

from __future__ import annotations

from typing import Any

import pandas as pd
from mlflow.exceptions import MlflowException
from mlflow.models import set_model
from mlflow.pyfunc import PythonModel, PythonModelContext

from ramer.errors import RamerError
from ramer.serving.json_records import predict_table, read_records


class ServedModel(PythonModel):
    """Features in, null where missing; probabilities, what was missing and, if asked for, neighbours out."""

    def load_context(self, context: PythonModelContext) -> None:
        # Here, for MLflow runs this file as it saves the model, too, and should not load torch for that.
        from ramer.serving.predictor import Predictor

        self.predictor = Predictor.load(context.artifacts["model"])

    def predict(
        self, context: PythonModelContext, model_input: pd.DataFrame, params: dict[str, Any] | None = None
    ) -> pd.DataFrame:
        try:
            clips = read_records(model_input)  # some requests reach us as a dict or a list, whatever the hint says
            asked = params or {}
            return predict_table(
                self.predictor,
                clips,
                neighbours=bool(asked.get("neighbours")),
                coverage=asked.get("coverage") or None,
                risk=asked.get("risk") or None,
            )
        except RamerError as error:  # what the server answers with 400 and this text
            raise MlflowException.invalid_parameter_value("; ".join(error.faults)) from None


set_model(ServedModel())
