"""Captions written from the priors alone, by rules: what is sure is said, the rest hedged or left.

From a task to its text: `evidence` reads the priors, `facts` weighs them against each other,
`compose` puts the sentences in order; `grammar`, `places`, `phrases`, `quotes`, `text` and
`knowledge` word them.
"""

from engines.captions.compose.compose import Compose

__all__ = ["Compose"]
