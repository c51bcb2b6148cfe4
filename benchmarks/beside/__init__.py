"""The parts of `benchmarks/side_by_side.py`; `benchmarks/gpu.py` uses its images and weights, too."""
