"""What can go wrong, one class for each exit code of the command line."""

__all__ = ["BarMissed", "Locked", "Refused", "SolventError", "TooManyBadRows", "WorkerDone"]


class SolventError(Exception):
    """Something failed; the same command may be tried again (exit code 1).

    The message says what, where, what was expected, and the cure.
    """

    exit_code = 1


class Refused(SolventError):
    """The usage, the config or the data can't be accepted as it is (exit code 2)."""

    exit_code = 2


class BarMissed(SolventError):
    """A bar that the user set was not met (exit code 3)."""

    exit_code = 3


class TooManyBadRows(SolventError):
    """More rows had to be set aside than the user allows (exit code 4)."""

    exit_code = 4


class Locked(SolventError):
    """Another run holds the output (exit code 5)."""

    exit_code = 5


class WorkerDone(SolventError):
    """No failure: of the processes that trained together another one, the chief, leaves the bundle (exit code 0)."""

    exit_code = 0
