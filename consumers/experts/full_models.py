"""The models of the profile `full`, opened as the settings say."""

from __future__ import annotations

from dataclasses import dataclass

from consumers.experts.sessions import open_session
from densefusion.settings import Experts
from engines.catalogue import catalogue, locate
from engines.full.card import Card
from engines.full.texts import Texts
from engines.session import Session


@dataclass(frozen=True, slots=True)
class Opened:
    """A model that takes pictures, and the card that its export left beside it.

    Attributes:
        height, width: of the pictures that it takes.
    """

    session: Session
    card: Card
    height: int
    width: int


def opened(name: str, settings: Experts) -> Opened:
    """The catalogue's `name`.

    Raises:
        EngineError: file, precision or provider cannot be had.
    """
    card = Card.read(locate(catalogue()[name]))
    picture = card.pictured()
    return Opened(open_session(name, settings), card, picture.height, picture.width)


def opened_texts(name: str, settings: Experts) -> Texts:
    """The text tower `name`, at FP32 whatever the settings: what it gives is remembered.

    Raises:
        EngineError: file or provider cannot be had.
    """
    session = open_session(name, settings, precision="fp32")
    return Texts(session, locate(catalogue()[name]))
