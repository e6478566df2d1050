"""CPU adapters, one module per architecture (``architecture.model.cpu`` names it)."""
