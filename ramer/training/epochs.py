"""The epochs of one training: the best of them is kept, and a run that was killed goes on where it was."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ramer.errors import DivergedError
from ramer.progress import track
from ramer.training.adamw import AdamW
from ramer.training.early_stopping import EarlyStopping
from ramer.training.savepoints import Saved, Savepoint

logger = logging.getLogger(__name__)

Line = dict[str, float]
_ADVICE = "a lower lr may help"


class EpochLoop:
    """Iterates over epochs until they end or the score has stopped rising, then leaves the best weights in the module.

    All that one epoch hands to the next has to be known here, for it is what a savepoint holds. The loop's body calls
    ``end`` once per epoch. torch's global generators are always kept.

    Args:
        module: what is trained.
        optimizers: of its parameters.
        rng: that the body draws from.
        epochs: their numbers, at most.
        patience: epochs without a better one before it stops.
        savepoint: where to go on from, and to save.
        candidate: whose weights are kept when an epoch is the best: the module, unless averages of its weights are
            scored instead; their names are then the module's.
        generators: that the body draws from besides.
        resumed: called in eval mode after weights came from a savepoint, for what depends on them.

    Attributes:
        stopping: the best epoch and its scores.
        history: one line per epoch, with its number.

    Raises:
        DivergedError: the best weights, as the iteration ends, or the loss of an epoch are no finite numbers.

    Example:
        >>> from ramer.training.savepoints import NOTHING_KEPT
        >>> network = nn.Linear(2, 1)
        >>> loop = EpochLoop(network, [], np.random.default_rng(0), range(9), 2, NOTHING_KEPT.at(""))
        >>> for epoch in loop:
        ...     loop.end({"val": -abs(epoch - 3.0)}, score=-abs(epoch - 3.0))
        >>> loop.stopping.best_epoch, len(loop.history)
        (3, 6)
    """

    def __init__(
        self,
        module: nn.Module,
        optimizers: Sequence[AdamW],
        rng: np.random.Generator,
        epochs: range,
        patience: int,
        savepoint: Savepoint,
        *,
        candidate: nn.Module | None = None,
        generators: Sequence[torch.Generator] = (),
        resumed: Callable[[], object] = lambda: None,
    ) -> None:
        self.stopping = EarlyStopping(patience)
        self.history: list[Line] = []
        self._module, self._candidate = module, candidate or module
        self._optimizers, self._rng, self._generators = optimizers, rng, generators
        self._epochs, self._savepoint, self._resumed = epochs, savepoint, resumed
        self._best = {name: tensor.detach().clone() for name, tensor in self._candidate.state_dict().items()}

    def __iter__(self) -> Iterator[int]:
        if not self._take_over():
            for epoch in track(self._epochs[len(self.history) :], self._savepoint.title):
                yield epoch
                if self.stopping.should_stop:
                    break
                if self._savepoint.due:
                    self._savepoint.write(self._unfinished())
            self._check_weights()
            if self._savepoint.worth:
                self._savepoint.write(Saved(_named("best", self._best) | self._random_arrays(), self._values(True)))
        self._module.load_state_dict(self._best)

    def checked(self, loss: float) -> float:
        """An epoch's training loss, before anything is scored.

        Raises:
            DivergedError: it is no finite number.
        """
        if not math.isfinite(loss):
            epoch = self._epochs[len(self.history)]
            raise DivergedError(f"epoch {epoch}: the training loss is {loss}, expected a finite number; {_ADVICE}")
        return loss

    def _check_weights(self) -> None:
        """Refuse best weights that are no finite numbers: one step after a finite loss may have spoilt them."""
        for name, _ in self._candidate.named_parameters():
            if not bool(torch.isfinite(self._best[name]).all()):
                epoch = self.stopping.best_epoch
                raise DivergedError(f"epoch {epoch}: weights {name} are not all finite numbers; {_ADVICE}")

    def end(self, line: Line, score: float, loss: float = 0.0) -> None:
        """Note an epoch.

        Args:
            line: of the history.
            score: higher is better. loss: lower is, among equal scores.
        """
        epoch = self._epochs[len(self.history)]
        self.history.append({"epoch": epoch, **line})
        if self.stopping.update(epoch, score, loss):
            for name, tensor in self._candidate.state_dict().items():
                self._best[name].copy_(tensor)

    def _take_over(self) -> bool:
        """Go on from the savepoint, if there is one; whether nothing is left to do."""
        saved = self._savepoint.read()
        if saved is None:
            return False
        finished, self.history = bool(saved.values["finished"]), saved.values["history"]
        self.stopping.restore(saved.values["stopping"])
        _copy(saved.arrays, "best", self._best)
        for part, tensors in {"best": self._module.state_dict()}.items() if finished else self._tensors().items():
            _copy(saved.arrays, part, tensors)
        self._module.eval()
        with torch.inference_mode():
            self._resumed()
        self._restore_random(saved)
        state = "was finished at" if finished else "resumed after"
        logger.info("%s: %s epoch %d", self._savepoint.title, state, self.history[-1]["epoch"])
        return finished

    def _unfinished(self) -> Saved:
        tensors = {"best": self._best, **self._tensors()}
        parts = (_named(part, held) for part, held in tensors.items())
        arrays = {name: array for part in parts for name, array in part.items()}
        return Saved(arrays | self._random_arrays(), self._values(False))

    def _tensors(self) -> dict[str, Mapping[str, Tensor]]:
        """All that steps change in place, by part and name."""
        optimizers = {f"optimizer{i}": optimizer.state() for i, optimizer in enumerate(self._optimizers)}
        modules = {"module": self._module.state_dict(), "candidate": self._candidate.state_dict()}
        if self._candidate is self._module:
            del modules["candidate"]
        return {**modules, **optimizers}

    def _values(self, finished: bool) -> dict[str, Any]:
        return {
            "finished": finished,
            "history": self.history,
            "stopping": self.stopping.state(),
            "rng": self._rng.bit_generator.state,
        }

    def _random_arrays(self) -> dict[str, np.ndarray]:
        states = {"torch": torch.get_rng_state()}
        states |= {f"generator{i}": generator.get_state() for i, generator in enumerate(self._generators)}
        if (device := self._device).type == "cuda":
            states["cuda"] = torch.cuda.get_rng_state(device)
        return _named("random", states)

    def _restore_random(self, saved: Saved) -> None:
        self._rng.bit_generator.state = saved.values["rng"]
        torch.set_rng_state(torch.from_numpy(saved.arrays["random.torch"]))
        for i, generator in enumerate(self._generators):
            generator.set_state(torch.from_numpy(saved.arrays[f"random.generator{i}"]))
        if (device := self._device).type == "cuda":
            torch.cuda.set_rng_state(torch.from_numpy(saved.arrays["random.cuda"]), device)

    @property
    def _device(self) -> torch.device:
        return next(iter(self._best.values())).device


def _named(part: str, tensors: Mapping[str, Tensor]) -> dict[str, np.ndarray]:
    return {f"{part}.{name}": tensor.detach().cpu().numpy() for name, tensor in tensors.items()}


@torch.no_grad()
def _copy(arrays: Mapping[str, np.ndarray], part: str, tensors: Mapping[str, Tensor]) -> None:
    """Fill tensors in place with what ``_named`` gave."""
    for name, tensor in tensors.items():
        tensor.copy_(torch.from_numpy(arrays[f"{part}.{name}"]).reshape(tensor.shape))
