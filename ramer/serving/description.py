"""``model.json``: what a model is, was trained on and holds; read and written here alone."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError

from ramer.config import Section, fault_lines
from ramer.digests import read_sealed, write_sealed
from ramer.errors import ModelError
from ramer.files import read_json
from ramer.inputs import LIVE, NEIGHBOURS, OWN_KEYS
from ramer.serving.torn import refuse_torn

FORMAT = 2
WITHOUT_DIGESTS = 1  # the format before, which is still read
MODEL_FILE = "model.json"

# Names that become parts of paths: a model is somebody else's.
Name = Annotated[str, Field(pattern=r"^\w+$")]
Folder = Annotated[str, Field(pattern=r"^\w+(\.\d+)?$")]


class TrainedOn(Section):
    """The corpus.

    Attributes:
        name: as the corpus calls itself.
        digest: of its contents.
        patterns: share of training rows by the letters of what they hold, the mean over replicates; None of a model
            made before that was kept, as are ``classes``.
        classes: share of training rows by class.
    """

    name: str
    digest: str | None
    patterns: dict[str, float] | None = None
    classes: dict[str, float] | None = None


class RetrievalSettings(Section):
    """How neighbours are found.

    Attributes:
        width: neighbours per list.
        scope: the splits that the database was made of.
        rerank: whether an approximate index' candidates are scored again by their exact states.
        seed: of the sample that an approximate index' recall is measured on.
    """

    width: int
    scope: str
    rerank: bool
    seed: int = 0


class Addition(Section):
    """Clips that were added to the database.

    Attributes:
        clips: how many.
        audio: how many of them hold it; video, text likewise.
        rows_before: rows of the database without them.
        ids_digest: of their ids, in order.
    """

    clips: int
    audio: int
    video: int
    text: int
    rows_before: int
    ids_digest: str

    @property
    def held(self) -> dict[str, int]:
        """How many of the clips hold each modality."""
        return {"audio": self.audio, "video": self.video, "text": self.text}


class Folders(Section):
    """The folders of an exported model that additions replace."""

    database: Folder = "database"
    index: Folder = "index"

    def unused(self, model: Path) -> list[Path]:
        """Other databases and indexes in a model's folder: of the addition before, or of a killed one."""
        parts = [(path, used) for part, used in self for path in (model / part, *model.glob(f"{part}.*"))]
        return [path for path, used in parts if path.name != used]


class ModelDescription(Section):
    """What a model says of itself.

    Attributes:
        format: of this file and the folder around it.
        method: its name in the project.
        type: of the method.
        retrieves: whether it has a database.
        inputs: what its batches hold (``ramer.inputs``).
        label_names: the classes in order.
        dims: length of a raw vector per modality; 0 for one that the corpus lacks.
        replicates: their names in order.
        corpus: what it was trained on.
        retrieval: how neighbours are found.
        feature_folders: of a MERBench corpus, per modality.
        extraction: the manifest of ``ramer extract`` without its clips, None where the features were made otherwise.
        folders: where database and indexes of an exported model are.
        additions: to the database, oldest first.
        files: SHA-256 of every file of an exported model, by its path in the folder; None in a project, whose stages
            keep their own, and in a model exported before they were kept.
    """

    format: Literal[1, 2] = 2
    method: str
    type: str
    retrieves: bool
    inputs: tuple[str, ...] = ()  # models exported by the first version do not name them
    label_names: tuple[str, ...]
    dims: dict[str, int]
    replicates: Annotated[tuple[Name, ...], Field(min_length=1)]
    corpus: TrainedOn
    retrieval: RetrievalSettings
    feature_folders: dict[str, str | None]
    extraction: dict[str, Any] | None = None
    folders: Folders = Folders()
    additions: tuple[Addition, ...] = ()
    files: dict[str, str] | None = None

    @property
    def encodes(self) -> bool:
        """Whether the method encodes and searches for itself, and so needs the features of its database."""
        return LIVE in self.inputs or OWN_KEYS in self.inputs

    @property
    def indexed(self) -> bool:
        """Whether the method searches states, in indexes that lie beside its database."""
        return self.retrieves and OWN_KEYS not in self.inputs

    @property
    def holds_states(self) -> bool:
        """Whether the rows of its database lend states."""
        return self.indexed or NEIGHBOURS in self.inputs

    @classmethod
    def read(cls, folder: Path, verify: bool = True) -> ModelDescription:
        """The description of an exported model.

        Args:
            verify: refuse one of which a bit has changed.

        Raises:
            ModelError: not there, torn, of another format, or a key is unknown or has no value that it may have.
        """
        path = folder / MODEL_FILE
        with refuse_torn(path):
            said = read_json(path)["format"]
            if said == WITHOUT_DIGESTS:
                found = read_json(path)
            elif said == FORMAT:
                found = read_sealed(path, verify)
            else:
                raise ModelError(f"{path}: format: expected {FORMAT}, got {said!r}")
        try:
            return cls.model_validate(found, strict=False)
        except ValidationError as error:
            raise ModelError(fault_lines(error, str(path))) from None

    def write(self, folder: Path) -> None:
        """Make it the description of the model in ``folder``, in one step."""
        write_sealed(folder / MODEL_FILE, self.model_dump(mode="json"))
