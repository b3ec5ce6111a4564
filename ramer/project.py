"""Where everything of a project lies: the one module that spells the folders of the pipeline's layout."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Project:
    """Every path of a project; nothing is read, made or checked here.

    What holds one thing per modality, method or replicate is a method; ``all_...`` is the folder of all of them.

    Attributes:
        root: the project's folder; the paths are relative where it is.

    Example:
        >>> project = Project(Path("mine"))
        >>> project.encoder("audio", "fold0_seed1").as_posix()
        'mine/models/encoders/audio/fold0_seed1.safetensors'
    """

    root: Path = Path()

    @property
    def holders(self) -> tuple[Path, ...]:
        """The folders in which outputs are replaced as a whole, and a killed process may have left half of one."""
        data, kept = self.prepared.parent, self.reuse("audio").parent
        models = (self.all_encoders, self.all_indexes, self.all_methods)
        others = (self.all_states, self.all_neighbours, self.all_method_results)
        return (data, kept, *models, *others, self.results, self.tracking)

    # What people write, and what DVC writes beside it.

    @property
    def params(self) -> Path:
        return self.root / "params.yaml"

    @property
    def pipeline(self) -> Path:
        """The pipeline's definition."""
        return self.root / "dvc.yaml"

    @property
    def lock(self) -> Path:
        """The digests of what was read and written last."""
        return self.root / "dvc.lock"

    @property
    def dvc(self) -> Path:
        """DVC's own folder."""
        return self.root / ".dvc"

    # What check writes.

    @property
    def checked(self) -> Path:
        return self.root / "data" / "params.checked"

    @property
    def code(self) -> Path:
        """The digests of the code, one file per stage and type of method."""
        return self.root / "data" / "code"

    def code_of(self, stage: str) -> Path:
        """The digests of the code that a stage runs."""
        return self.code / f"{stage}.json"

    # What is made of the corpus, stage by stage.

    @property
    def prepared(self) -> Path:
        return self.root / "data" / "prepared"

    @property
    def corpus(self) -> Path:
        """The description of the prepared corpus."""
        return self.prepared / "corpus.json"

    @property
    def all_encoders(self) -> Path:
        return self.root / "models" / "encoders"

    def encoders(self, modality: str) -> Path:
        return self.all_encoders / modality

    def encoder(self, modality: str, replicate: str) -> Path:
        return self.encoders(modality) / f"{replicate}.safetensors"

    @property
    def all_states(self) -> Path:
        return self.root / "data" / "states"

    def states(self, modality: str) -> Path:
        return self.all_states / modality

    def reuse(self, modality: str) -> Path:
        """States kept for the next run: not below ``all_states``, which other stages depend on as a whole."""
        return self.root / "data" / ".dump" / modality

    @property
    def all_savepoints(self) -> Path:
        """How far stages got that were killed: no output, and below no folder that a stage depends on."""
        return self.root / "data" / ".savepoints"

    def savepoints(self, stage: str, item: str) -> Path:
        return self.all_savepoints / f"{stage}@{item}"

    @property
    def all_indexes(self) -> Path:
        return self.root / "models" / "index"

    def indexes(self, modality: str) -> Path:
        return self.all_indexes / modality

    def index(self, modality: str, replicate: str) -> Path:
        """One FAISS index; its sidecar lies beside it."""
        return self.indexes(modality) / f"{replicate}.faiss"

    @property
    def all_neighbours(self) -> Path:
        return self.root / "data" / "neighbours"

    def neighbours(self, modality: str) -> Path:
        return self.all_neighbours / modality

    @property
    def all_methods(self) -> Path:
        return self.root / "models" / "methods"

    def method(self, name: str) -> Path:
        """A trained method: one checkpoint per replicate, their description and history."""
        return self.all_methods / name

    # What comes of it.

    @property
    def results(self) -> Path:
        return self.root / "results"

    @property
    def all_method_results(self) -> Path:
        return self.results / "methods"

    def method_results(self, name: str) -> Path:
        return self.all_method_results / name

    @property
    def summary(self) -> Path:
        return self.results / "summary.json"

    @property
    def headline(self) -> Path:
        """The metrics that ``dvc exp show`` shows."""
        return self.results / "headline.json"

    @property
    def cards(self) -> Path:
        """What the report found of each method."""
        return self.results / "cards.json"

    @property
    def report(self) -> Path:
        return self.results / "report.html"

    @property
    def explorer(self) -> Path:
        """The clips behind the report's figures."""
        return self.results / "explorer.html"

    @property
    def plots(self) -> Path:
        """The report's figures."""
        return self.results / "plots"

    @property
    def plot_data(self) -> Path:
        """The small tables that ``dvc plots`` draws."""
        return self.results / "plot_data"

    # Tracking.

    @property
    def tracking(self) -> Path:
        return self.root / ".tracking"

    @property
    def receipt(self) -> Path:
        """What ``track`` says it has logged."""
        return self.tracking / "receipt.json"

    @property
    def studies(self) -> Path:
        """The journal of ``ramer tune``, unless another file is shared."""
        return self.tracking / "tune.journal"

    @property
    def report_copy(self) -> Path:
        """The report with what is known of its run, made when it is opened."""
        return self.tracking / "report" / "report.html"

    def origin(self, summary_digest: str) -> Path:
        """Which code, parameters and packages made a summary with this digest; nothing depends on it."""
        return self.tracking / "origins" / f"{summary_digest[:16]}.json"

    def costs(self, name: str) -> Path:
        """What a method was measured to cost on this machine; nothing depends on it."""
        return self.tracking / "costs" / name

    def seconds(self, stage: str, item: str) -> Path:
        """What a stage was measured to take on this machine; nothing depends on it."""
        return self.tracking / "seconds" / f"{stage}{'@' * bool(item)}{item}.json"

    @property
    def mlflow_store(self) -> Path:
        """MLflow's database, unless another store is set."""
        return self.root / "mlflow.db"
