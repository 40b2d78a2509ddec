"""Counting: parameters, multiply-adds, activations, and what a GPU would be asked to do."""
