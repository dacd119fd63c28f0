"""The composition root: the only package that names infrastructure.

A module for each kind of process, which loads what that process uses and nothing else: most of a
start is imports, and a core that died is waited for. So nothing is imported here.
tests/interfaces/test_imports.py says what each may load.
"""
