"""A clear error where a model meets the Trainer of the other Lightning package."""

import sys


class RefusesPytorchLightning:
    """Explains itself to ``pytorch_lightning``, whose classes are not those of ``lightning``.

    Lightning is published twice, as ``lightning`` (``lightning.pytorch``) and as ``pytorch_lightning``, and a
    Trainer of one does not take a module of the other: its check, ``isinstance(model, LightningModule)``,
    ends in "must be a LightningModule, got LSTMForecaster", which helps nobody. That check is the first and
    only thing that the other package does with a model, and asking for ``__class__`` is the only part of it
    that an object can notice; so this class answers there. Everyone else gets ``type(self)`` as always.
    """

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        asked_by = sys._getframe(1).f_globals.get("__name__") or ""
        if asked_by.startswith("pytorch_lightning."):
            raise TypeError(
                f"{type(self).__name__} is a module of `lightning`, and this Trainer is one of "
                "`pytorch_lightning`: the two packages do not mix. Use `from lightning import Trainer` (and "
                "take callbacks and loggers from `lightning` too)."
            )
        return type(self)
