"""Measuring speed and memory: `benchmark` for a model, `cost_growth` for the rendering alone."""
