"""Several roles' metrics as one page of Prometheus's text format.

The format wants all lines of a metric in one group, with one HELP and one TYPE line; two roles
may have the same metric with other labels.

Source: https://prometheus.io/docs/instrumenting/exposition_formats/
"""

_SUFFIXES = ("_bucket", "_sum", "_count", "_total", "_created")


def merge(*pages: bytes) -> bytes:
    """One page of all; where two say different things of one metric, the first one's HELP and
    TYPE stay.
    """
    heads: dict[str, dict[str, str]] = {}
    samples: dict[str, list[str]] = {}
    for line in b"".join(pages).decode().splitlines():
        if line.startswith(("# HELP ", "# TYPE ")):
            _, kind, name, *_ = line.split(" ", 3)
            heads.setdefault(name, {}).setdefault(kind, line)
            samples.setdefault(name, [])
        elif line and not line.startswith("#"):
            samples.setdefault(_family(line, samples), []).append(line)
    lines: list[str] = []
    for name, found in samples.items():
        lines += [*heads.get(name, {}).values(), *found]
    return "".join(f"{line}\n" for line in lines).encode()


def _family(line: str, known: dict[str, list[str]]) -> str:
    name = line.partition(" ")[0].partition("{")[0]
    if name in known:
        return name
    stems = (name.removesuffix(suffix) for suffix in _SUFFIXES if name.endswith(suffix))
    return next((stem for stem in stems if stem in known), name)
