"""Adapters: one module per architecture that the model runs (``architecture.model.cpu`` names it)."""
