"""Counting parameters, multiply-adds and activations: `complexity`, stage by stage."""
