"""Load a Hugging Face model by name or folder, at one known revision, without running code that it brings along."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from ramer.errors import ConfigError, ModelError, raise_if_scarce
from ramer.extraction.outcomes import one_line
from ramer.extraction.settings import Dtype
from ramer.extraction.silenced import without_user_warnings
from ramer.files import digest_file

_DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}
_WEIGHTS = (".safetensors", ".bin", ".json", ".txt", ".model", ".py", ".jinja")


class Source:
    """Where a model comes from: a commit of a hub repository, or a local folder with its digest.

    Args:
        model: hub name (``owner/name``) or path of a folder.
        revision: commit, branch or tag of a hub repository; a branch is resolved to its commit.
        trust_remote_code: run Python code that the model brings along.

    Raises:
        ModelError: neither a folder nor a repository that can be reached or is cached.
    """

    def __init__(self, model: str, revision: str | None, trust_remote_code: bool = False) -> None:
        self.model = model
        self.trust_remote_code = trust_remote_code
        folder = Path(model).expanduser()
        self.local = folder.is_dir()
        if not self.local and (folder.is_absolute() or model.startswith((".", "~"))):
            raise ModelError(f"{model}: no such folder, expected a saved Hugging Face model")
        if self.local and not (folder / "config.json").is_file():
            raise ModelError(f"{model}: no config.json, expected a saved Hugging Face model")
        self.location = str(folder) if self.local else model
        self.commit = None if self.local else _resolve(model, revision)

    @property
    def record(self) -> dict[str, Any]:
        """What the manifest says of the model."""
        if self.local:
            return {"name": Path(self.location).name, "sha256": digest_folder(Path(self.location))}
        return {"name": self.model, "revision": self.commit}

    def load(self, loader: Callable[..., Any], **options: Any) -> Any:
        """Call a ``from_pretrained`` at this revision.

        Raises:
            ModelError: it cannot be loaded; the line says why.
        """
        if self.commit is not None:
            options["revision"] = self.commit
        try:
            with quiet():
                return loader(self.location, trust_remote_code=self.trust_remote_code, **options)
        # Third-party loaders raise whatever their formats raise; the user needs one line that names the model.
        except Exception as error:
            raise_if_scarce(error)
            reason = one_line(error)
            if "trust_remote_code" in str(error):
                reason = "it brings Python code, which is not run unless --trust-remote-code is given; read it first"
            raise ModelError(f"{self.model}: cannot be loaded: {reason}") from error

    def load_model(self, loader: Any, dtype: Dtype, device: str) -> torch.nn.Module:
        """Load weights for inference in a precision, on a device."""
        model: torch.nn.Module = self.load(loader.from_pretrained, dtype=_DTYPES[dtype])
        return model.eval().requires_grad_(False).to(device)


def digest_folder(folder: Path) -> str:
    """SHA-256 over the weight, config and tokenizer files of a saved model, names included."""
    sha = hashlib.sha256()
    for path in sorted(p for p in folder.iterdir() if p.is_file() and p.suffix in _WEIGHTS):
        sha.update(f"{path.name}\0{digest_file(path)}\0".encode())
    return sha.hexdigest()


def last_layers(hidden_states: tuple[torch.Tensor, ...], layers: int) -> torch.Tensor:
    """Mean of the last layers' hidden states, in float32."""
    return torch.stack([state.float() for state in hidden_states[-layers:]]).mean(dim=0)


def check_layers(model: Any, layers: int, name: str) -> None:
    """Refuse more layers than the model has.

    Raises:
        ConfigError: naming the model and its number of layers.
    """
    held = getattr(model.config, "num_hidden_layers", None)
    if held is not None and layers > held:
        raise ConfigError(f"layers: {layers} asked for, but {name} has {held}")


@contextmanager
def inference() -> Iterator[None]:
    """Without gradients, without the short numbers of CUDA's convolutions, which differ with a batch's shape, and
    without what models say to their own authors (WavLM warns of a mask's type at every call)."""
    with (
        torch.inference_mode(),
        torch.backends.cudnn.flags(enabled=True, allow_tf32=False),
        without_user_warnings(),
    ):
        yield


def _resolve(model: str, revision: str | None) -> str:
    from transformers.utils.hub import cached_file, extract_commit_hash

    try:
        with quiet():
            config = cached_file(model, "config.json", revision=revision)
        commit = extract_commit_hash(config, None)
    except (OSError, ValueError) as error:
        at = f" at revision {revision}" if revision else ""
        raise ModelError(
            f"{model}{at}: not a folder, and cannot be had from the hub or its cache: {one_line(error)}"
        ) from None
    if commit is None:
        raise ModelError(f"{model}: the hub names no commit for revision {revision!r}")
    return commit


@contextmanager
def quiet() -> Iterator[None]:
    """Without transformers' own bars and remarks: extraction has its own."""
    from transformers.utils import logging as transformers_logging

    logger = logging.getLogger("transformers")
    level, bars = logger.level, transformers_logging.is_progress_bar_enabled()
    logger.setLevel(logging.ERROR)
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        logger.setLevel(level)
        if bars:
            transformers_logging.enable_progress_bar()
