"""The project's exceptions.

DenseFusionError
├── SettingsError      a setting is wrong or missing
├── SourceError        a list, folder or column of the user's cannot be read
├── TopicError         a topic is missing, or has the wrong partitions
├── CircuitOpen        a stage cannot process most of its records (`consumers.breaker`)
└── DependencyError    something we need does not answer, after bounded retries
    ├── BrokerError    Kafka
    │   └── Refused    it answers, and does not let us: password, certificate, rights
    ├── StoreError     the object store
    ├── RegistryError  the Schema Registry
    └── CaptionServerError

Bad data is none of these: it becomes a reject (`consumers.stage.Rejected`) or a dead letter.
The rooms that import nothing of ours have a root of their own: `schemas.SchemaError`,
`engines.EngineError`.
"""


class DenseFusionError(Exception):
    """Root. The command line prints its message, without a traceback, and exits with 2 (3 where a
    dependency is away, since trying again may help)."""


class SettingsError(DenseFusionError):
    pass


class SourceError(DenseFusionError):
    pass


class TopicError(DenseFusionError):
    pass


class CircuitOpen(DenseFusionError):
    pass


class DependencyError(DenseFusionError):
    pass


class BrokerError(DependencyError):
    pass


class Refused(BrokerError):
    pass


class StoreError(DependencyError):
    pass


class RegistryError(DependencyError):
    pass


class CaptionServerError(DependencyError):
    pass


def exit_code(error: DenseFusionError) -> int:
    """The process's exit code for an error that ends it."""
    return 3 if isinstance(error, DependencyError) else 2
