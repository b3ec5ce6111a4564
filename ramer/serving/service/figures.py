"""What is counted while a model is served, in Prometheus' text format (version 0.0.4)."""

from __future__ import annotations

import bisect
import threading
from collections import Counter
from collections.abc import Iterable, Mapping

from ramer.evaluation.conformal import patterns
from ramer.modalities import LETTERS, MODALITIES
from ramer.serving.description import TrainedOn
from ramer.serving.predictor import Prediction
from ramer.serving.service.drift import Drift

TEXT = "text/plain; version=0.0.4; charset=utf-8"
EDGES = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 180.0)  # seconds
_ESCAPES = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})


class Figures:
    """Requests, answers and drift; may be told by several threads.

    Args:
        corpus: what the model was trained on: what drift is measured against, as far as it is known.
    """

    def __init__(self, corpus: TrainedOn) -> None:
        self._lock = threading.Lock()
        self._requests: Counter[tuple[str, int]] = Counter()
        self._seconds: dict[str, list[int]] = {}
        self._total: dict[str, float] = {}
        self._missing: Counter[str] = Counter()
        self._predicted: Counter[str] = Counter()
        self._clips, self._confidence, self._silent, self._working = 0, 0.0, 0, 0
        self._drift = {"availability": Drift(corpus.patterns or {}), "predicted": Drift(corpus.classes or {})}

    def begin(self) -> None:
        """A request has come."""
        with self._lock:
            self._working += 1

    def end(self, path: str, status: int, seconds: float) -> None:
        """A request has been answered."""
        with self._lock:
            self._working -= 1
            self._requests[path, status] += 1
            buckets = self._seconds.setdefault(path, [0] * (len(EDGES) + 1))
            buckets[bisect.bisect_left(EDGES, seconds)] += 1
            self._total[path] = self._total.get(path, 0.0) + seconds

    def observe(self, said: Prediction) -> None:
        """Clips have been predicted."""
        held, predicted = patterns(said.available), [str(label) for label in said.labels]
        with self._lock:
            self._clips += len(predicted)
            self._confidence += float(said.probabilities.max(axis=1, initial=0.0).sum())
            self._silent += 0 if said.answered is None else int((~said.answered).sum())
            self._predicted.update(predicted)
            for m in MODALITIES:
                self._missing[m] += sum(LETTERS[m] not in letters for letters in held)
            self._drift["availability"].see(held)
            self._drift["predicted"].see(predicted)

    def text(self) -> str:
        """All of them."""
        with self._lock:
            return "\n".join([*self._of_requests(), *self._of_clips(), ""])

    def _of_requests(self) -> Iterable[str]:
        yield from _head("ramer_requests_total", "counter", "Requests by path and status.")
        for (path, status), many in sorted(self._requests.items()):
            yield _line("ramer_requests_total", many, path=path, status=str(status))
        yield from _head("ramer_requests_in_progress", "gauge", "Requests that wait for their answer.")
        yield _line("ramer_requests_in_progress", self._working)
        yield from _head("ramer_request_seconds", "histogram", "Seconds from a request's head to its answer's end.")
        for path, buckets in sorted(self._seconds.items()):
            below = 0
            for edge, many in zip((*map(str, EDGES), "+Inf"), buckets, strict=True):
                below += many
                yield _line("ramer_request_seconds_bucket", below, path=path, le=edge)
            yield _line("ramer_request_seconds_sum", self._total[path], path=path)
            yield _line("ramer_request_seconds_count", below, path=path)

    def _of_clips(self) -> Iterable[str]:
        yield from _head("ramer_clips_total", "counter", "Clips that were predicted.")
        yield _line("ramer_clips_total", self._clips)
        yield from _head("ramer_clips_missing_total", "counter", "Clips that lacked a modality.")
        for m in MODALITIES:
            yield _line("ramer_clips_missing_total", self._missing[m], modality=m)
        yield from _head("ramer_clips_predicted_total", "counter", "Clips by the emotion that was most probable.")
        for label, many in sorted(self._predicted.items()):
            yield _line("ramer_clips_predicted_total", many, label=label)
        yield from _head("ramer_clips_silent_total", "counter", "Clips without an answer at the risk that was named.")
        yield _line("ramer_clips_silent_total", self._silent)
        yield from _head("ramer_confidence_sum", "counter", "Largest probabilities, summed; by the clips their mean.")
        yield _line("ramer_confidence_sum", self._confidence)
        shares = {m: self._missing[m] / self._clips for m in MODALITIES} if self._clips else {}
        yield from _head("ramer_missing_share", "gauge", "Share of all clips that lacked a modality.")
        for m, share in shares.items():
            yield _line("ramer_missing_share", share, modality=m)
        yield from _head("ramer_confidence_mean", "gauge", "Mean of the largest probability of all clips.")
        if self._clips:
            yield _line("ramer_confidence_mean", self._confidence / self._clips)
        yield from _head("ramer_drift", "gauge", "Population stability index of the latest clips against training.")
        found: Mapping[str, float | None] = {name: drift.index() for name, drift in self._drift.items()}
        for name, index in found.items():
            if index is not None:
                yield _line("ramer_drift", index, of=name)


def _head(name: str, kind: str, told: str) -> tuple[str, str]:
    return f"# HELP {name} {told}", f"# TYPE {name} {kind}"


def _line(name: str, value: float, **labels: str) -> str:
    told = ",".join(f'{key}="{text.translate(_ESCAPES)}"' for key, text in labels.items())
    return f"{name}{{{told}}} {value:.10g}" if told else f"{name} {value:.10g}"
