"""What every LightningModule of the package shares: checkpoints, optimisers, carried state, random state."""
