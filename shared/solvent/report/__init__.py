"""The HTML report of a bundle, its model card, and its headline in one line."""

from .card import model_card
from .page import html
from .verdict import headline_sentence

__all__ = ["headline_sentence", "html", "model_card"]
