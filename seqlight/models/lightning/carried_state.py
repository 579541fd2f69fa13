"""Carrying the state of a network from one training batch to the next."""

from typing import Any

import torch
from lightning import LightningModule
from torch import Tensor

from seqlight.models.lightning.loader_positions import restore_loader_positions
from seqlight.strategies.state_rows import BatchDim, map_tensors, rows_axis, state_batch_dim

CHECKPOINT_KEY = "seqlight_carried_state"
"""The entry of a checkpoint that holds each process's carried state."""


class CarriesState(LightningModule):
    """A LightningModule that carries its network's state from batch to batch, detached.

    For truncated backpropagation through time and stateful training: the batches of a
    :class:`seqlight.data.TBPTTLoader` or :class:`seqlight.data.StatefulSampler` say in ``reset`` which rows
    start anew; the others go on with the state that the same row had at the end of the batch before::

        class Model(CarriesState):
            def training_step(self, batch, batch_idx):
                state = self.carried_state(batch["reset"])
                output, state = self.lstm(batch["x"], state)  # any layer with its state in and out
                self.carry_state(state)
                return mse_loss(self.head(output), batch["y"])

    Optimisation stays Lightning's own: clipping, accumulation, precision and schedulers as in any module.
    The state goes into checkpoints, one for each process, and comes back when a fit is resumed with as many
    processes. A class of your own that overrides ``on_train_start``, ``on_save_checkpoint`` or
    ``on_load_checkpoint`` calls ``super()``'s. In evaluation mode another state is carried than in
    training, so that a validation in the middle of an epoch leaves training as it was.
    """

    state_batch_dim: BatchDim = None
    """The state's batch axis: 1 for recurrent layers [layers, B, H], 0 for [B, ...], a tuple for a tuple of
    both; None takes it from the layers of seqlight.nn and torch.nn inside, or, where these differ or there
    are
    none, finds it by its size."""

    _carried: dict[bool, tuple[Any, int, BatchDim]] | None = None  # by training mode: state, rows, batch axis
    _rows: int | None = None  # of the batch that was begun last

    def carried_state(self, reset: Tensor) -> Any:
        """Return the state to begin a batch with.

        Args:
            reset: bool [B], True for the rows that start anew.

        Returns:
            What :meth:`carry_state` was given last, rows that start anew set to zero; None if all rows do, or
            nothing was carried yet. A batch with fewer rows than the last goes on with the first ones.

        Raises:
            TypeError: ``reset`` is no bool tensor.
            ValueError: rows are to go on that the last batch did not have, or the batch axis cannot be told.
        """
        if not isinstance(reset, Tensor) or reset.dtype != torch.bool or reset.dim() != 1:
            got = f"{reset.dtype} {list(reset.shape)}" if isinstance(reset, Tensor) else type(reset).__name__
            raise TypeError(f"reset: expected a bool tensor [B], got {got}")
        self._rows = len(reset)
        carried = (self._carried or {}).get(self.training)
        if carried is None or bool(reset.all()):
            return None
        state, rows, batch_dim = carried
        if len(reset) > rows:
            raise ValueError(
                f"reset: expected all rows to start anew, or at most the {rows} rows of the batch before; "
                f"got {len(reset)} rows of which some go on"
            )

        def begin(tensor: Tensor, dim: BatchDim) -> Tensor:
            axis = rows_axis(tensor, dim, rows)
            kept = tensor.to(reset.device).narrow(axis, 0, len(reset))
            return kept.masked_fill(reset.view([-1] + [1] * (tensor.dim() - 1 - axis)), 0)

        return map_tensors(state, begin, batch_dim)

    def carry_state(self, state: Any, *, batch_dim: BatchDim = None) -> None:
        """Keep the state at the end of a batch for the next one, detached.

        Args:
            state: a tensor, or tuples, lists and dicts of them.
            batch_dim: the batch axis, if it is not :attr:`state_batch_dim`.

        Raises:
            RuntimeError: :meth:`carried_state` was not called before, with the batch's ``reset``.
            TypeError: the state holds anything else.
            ValueError: the batch axis cannot be told.
        """
        if self._rows is None:
            raise RuntimeError(
                "carry_state: call carried_state(batch['reset']) first, and begin the batch with what it "
                "returns"
            )
        batch_dim = state_batch_dim(self) if batch_dim is None else batch_dim
        rows = self._rows

        def end(tensor: Tensor, dim: BatchDim) -> Tensor:
            rows_axis(tensor, dim, rows)  # raises now, not at the next batch
            return tensor.detach()

        kept = (map_tensors(state, end, batch_dim), rows, batch_dim)
        self._carried = (self._carried or {}) | {self.training: kept}

    def on_train_start(self) -> None:
        """Let the loaders of a resumed fit go on where they were."""
        super().on_train_start()
        restore_loader_positions(self.trainer)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add the state carried in training, of every process."""
        super().on_save_checkpoint(checkpoint)
        own = (self._carried or {}).get(True)
        if own is not None:
            state, rows, batch_dim = own
            own = (map_tensors(state, lambda tensor, _: tensor.cpu()), rows, batch_dim)
        states = [own]
        if self.trainer.world_size > 1:
            states = [None] * self.trainer.world_size
            torch.distributed.all_gather_object(states, own)
        if any(state is not None for state in states):
            checkpoint[CHECKPOINT_KEY] = states

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Go on with the state of a resumed fit."""
        super().on_load_checkpoint(checkpoint)
        trainer = self._trainer
        states = checkpoint.get(CHECKPOINT_KEY, [])
        if trainer is None or trainer.state.fn != "fit" or len(states) != trainer.world_size:
            return
        own = states[trainer.global_rank]
        self._carried = None if own is None else {True: tuple(own)}
