"""Where in an epoch a resumed fit goes on."""

import lightning


def restore_loader_positions(trainer: lightning.Trainer) -> None:
    """Give the training loaders the positions of the checkpoint, where Lightning did not.

    Lightning does so when it sets the loaders up. If a schedule has asked for
    ``trainer.estimated_stepping_batches``, it set them up before it read the checkpoint's positions, and does
    not come back to them: the epoch would start anew. To be called when training starts.
    """
    # There is no public way to a loader's saved state.
    restore = getattr(trainer.fit_loop, "_load_combined_loader_states", None)
    if restore is not None:
        restore()  # does nothing where nothing was left
