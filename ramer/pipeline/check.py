"""Stage ``check``: the whole of ``params.yaml`` in one go, for what no single section can tell."""

from __future__ import annotations

from ramer import engine
from ramer.config import BEST, Config
from ramer.data.kinds import check_kind
from ramer.devices import check_device
from ramer.errors import ConfigError, RetrievalError
from ramer.files import atomic_file
from ramer.methods import MethodOptions, method_class, method_options
from ramer.pipeline.committed import check_lock
from ramer.pipeline.unfinished import forget_removed
from ramer.project import Project

SOURCE = "params.yaml"


def check(config: Config, project: Project) -> None:
    """Refuse parameters with which some stage would fail after others have worked for hours.

    What is written when all is well is constant: new parameters rerun the check, and nothing that depends on it.

    Raises:
        ConfigError: the lock file was cut, a kind of corpus is unknown, an option of a method is bad, k exceeds the
            candidates kept, the served method needs what is missing, or the device is not there; one line per fault.
    """
    check_lock(project)
    faults = _kind_faults(config) + _device_faults(config) + _environment_faults()
    options: dict[str, MethodOptions] = {}
    for name, entry in config.methods.items():
        try:
            options[name] = method_options(name, entry, SOURCE)
        except ConfigError as error:
            faults += error.faults
    faults += [fault for name, chosen in options.items() for fault in _width_faults(name, chosen, config)]
    faults += _served_faults(options, config)
    if faults:
        raise ConfigError(faults)
    forget_removed(project, config.methods)
    with atomic_file(project.checked) as temporary:
        temporary.write_text("ok\n", "utf-8")


def _kind_faults(config: Config) -> list[str]:
    try:
        check_kind(config.corpus, SOURCE)
    except ConfigError as error:
        return error.faults
    return []


def _device_faults(config: Config) -> list[str]:
    try:
        check_device(config.runtime.device)
    except ConfigError as error:
        return error.faults
    return []


def _environment_faults() -> list[str]:
    try:
        engine.check_environment()
    except ConfigError as error:
        return error.faults
    return []


def _width_faults(name: str, options: MethodOptions, config: Config) -> list[str]:
    try:
        options.check_k(name, config.retrieval.width)
    except RetrievalError as error:
        return error.faults
    return []


def _served_faults(options: dict[str, MethodOptions], config: Config) -> list[str]:
    if config.serve.method == BEST:
        if any(method_class(o.type).deployable_with(o) for o in options.values()) or len(options) < len(config.methods):
            return []
        return [f"{SOURCE}: serve.method: {BEST}: none of {', '.join(options)} can be deployed"]
    served = options.get(config.serve.method)
    if served is None:
        return []
    kind = method_class(served.type)
    if not kind.deployable:
        return [f"{SOURCE}: serve.method: {config.serve.method!r} cannot be deployed, it uses what is missing"]
    if not kind.deployable_with(served):
        return [f"{SOURCE}: serve.method: {config.serve.method!r} is a control, {served.spoilt}"]
    return []
