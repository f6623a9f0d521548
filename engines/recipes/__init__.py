"""8-bit weights for the CPU, made on the user's machine from the weights that it has.

A recipe says how: which nodes stay in float32, and the range of every tensor that does not, which
is all that pictures are needed for. So the repository carries some kilobytes in place of another
copy of the weights, and what is made is the same everywhere. `tests/benchmarks/recipes.py` writes
them.
"""

from engines.recipes.making import made
from engines.recipes.ranges import Recipe, recipe

__all__ = ["Recipe", "made", "recipe"]
