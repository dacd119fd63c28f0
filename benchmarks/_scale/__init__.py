"""Parts of `benchmarks.log_scale`: what is written, and the phases that each run in a process of
their own, so that memory of one does not count for another.
"""
