"""What a user may set for recommending, and what it reads and writes. Imports neither keras nor pandas."""

from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from solvent import Column, Columns, Goal, Output, Section, Split, Training

__all__ = ["PARTS", "Items", "Ranking", "Recommender", "Scoring", "Towers", "Users", "columns", "headline", "split"]

PARTS = ("popularity", "neighbours", "ease", "content")
Model = Literal["popularity", "neighbours", "ease", "content", "two_tower", "next_item", "ranking"]
Value = str | float | bool


class Scoring(Section):
    """The part of the settings that a scoring job may replace.

    Args:
        length: items in a list; fewer where there are no more.
        reasons: say of each item why it is there.
        seen: items that a user has had may be recommended again.
        in_stock: a column of the items; only items with a number above 0, or true, there are recommended.
        only: columns of the items, each with the values that an item must have one of, such as {region: [DE, AT]}.
        per_category: at most so many items of one category in a list; an item counts in all that it has. Pinned ones
            count, and are not limited themselves.
        pinned: these items head every list, in this order, unless a user has had them or a rule leaves them out.
        diversity: 0 ranks by the score alone; towards 1 an item counts less the more it is like those above it.
    """

    length: int = Field(20, ge=1, le=1000)
    reasons: bool = True
    seen: bool = False
    in_stock: str | None = None
    only: Mapping[str, tuple[Value, ...]] = {}
    per_category: int | None = Field(None, ge=1)
    pinned: tuple[str, ...] = ()
    diversity: float = Field(0.0, ge=0, lt=1)

    @model_validator(mode="after")
    def _pinned_ones_fit(self) -> Self:
        if len(set(self.pinned)) > self.length:
            raise ValueError(f"pinned: {len(set(self.pinned))} items don't fit into lists of length {self.length}")
        return self


class Items(Section):
    """The columns of the side table `items`.

    Args:
        id: the item.
        title: what people call it; reasons and figures show it.
        categories: one or several, parted by |.
        text: what it is, in words.
        numbers: such as its price.
    """

    id: str = "item"
    title: str | None = None
    categories: str | None = None
    text: str | None = None
    numbers: tuple[str, ...] = ()

    @property
    def beside_the_id(self) -> tuple[str, ...]:
        """The other columns that are named."""
        named = (self.title, self.categories, self.text)
        return (*(name for name in named if name is not None), *self.numbers)

    @property
    def described(self) -> bool:
        """Whether anything says what an item is."""
        return bool(self.categories or self.text or self.numbers)


class Users(Section):
    """The columns of the side table `users`.

    Args:
        id: the user.
        about: what is known of them, such as their age and occupation: numbers, or levels, several parted by |.
    """

    id: str = "user"
    about: tuple[str, ...] = ()


class Towers(Section):
    """What the two towers are made of.

    Args:
        width: of the vectors that stand for users and items.
        history: a user is read by so many of their last items.
        temperature: similarities are divided by it.
        dropout: share of a history that each training step leaves out.
        hard_negatives: an item is held against so many of the batch's other items, the likeliest ones; null for all.
    """

    width: int = Field(64, ge=4, le=1024)
    history: int = Field(200, ge=1, le=5000)
    temperature: float = Field(0.1, gt=0, le=10)
    dropout: float = Field(0.3, ge=0, lt=1)
    hard_negatives: int | None = Field(None, ge=1)


class Ranking(Section):
    """How ratings are predicted, where `ratings` is set.

    Args:
        width: of the vectors that stand for users and items.
        history: a user is read by so many of the items that they rated last, too.
        crosses: layers that cross the numbers of both.
        dropout: share of a history that each training step leaves out.
        penalty: on the squares of the vectors, those of a rating's user and item with every rating.
        weight_penalty: on the squares of the cross layers' weights.
    """

    width: int = Field(32, ge=2, le=1024)
    history: int = Field(200, ge=1, le=5000)
    crosses: int = Field(2, ge=0, le=6)
    dropout: float = Field(0.3, ge=0, lt=1)
    penalty: float = Field(0.03, ge=0)
    weight_penalty: float = Field(0.01, ge=0)
    training: Training = Training(
        epochs=40, batch_size=1024, learning_rate=3e-3, patience=4, schedule="constant", refit=True
    )


class Recommender(Section):
    """Settings of the recommender.

    Args:
        model: `hybrid` weighs the models that `parts` names; or one of these alone.
        parts: of the hybrid; the networks `two_tower`, `next_item` and `ranking` are among them only where they are
            named. `ranking` is a second stage: it ranks again the best that each of the others finds.
        items: the columns of the side table `items`.
        users: the columns of the side table `users`; the two towers and the ratings read them.
        liked_from: the rating from which on an item counts as liked; null where whatever was had is.
        distance: of the neighbours: how far two items lie apart, by who had them.
        ease_items: EASE knows the so many commonest items; its cost grows with their cube, or with that of the users
            where these are fewer. Where there are more items, the report says so.
        towers: of the two towers, and of the next item.
        ratings: foretell ratings too, of the items in the column `rate`; needs the column `rating`.
        ranking: the network that does.
        at: lengths at which lists are measured; NDCG at the first is the headline.
    """

    model: Model | Literal["hybrid"] = "hybrid"
    parts: tuple[Model, ...] = Field(PARTS, min_length=1)
    items: Items = Items()
    users: Users = Users()
    liked_from: float | None = None
    distance: Literal["cosine", "manhattan"] = "cosine"
    ease_items: int = Field(10_000, ge=1, le=40_000)
    towers: Towers = Towers()
    ratings: bool = False
    ranking: Ranking = Ranking()
    at: tuple[Annotated[int, Field(ge=1)], ...] = Field((10, 5, 20), min_length=1)
    scoring: Scoring = Scoring()
    training: Training = Training(
        epochs=15, batch_size=1024, learning_rate=3e-3, patience=3, schedule="constant", refit=True
    )

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if len(set(self.parts)) < len(self.parts):
            raise ValueError("parts: name each model once")
        if self.model != "hybrid" and self.parts != PARTS:
            raise ValueError(f"parts are those of the hybrid, and model is {self.model}: leave one of the two out")
        if "ranking" in self.used and not self.ratings:
            raise ValueError("ranking recommends what is likely to be rated high, so it needs ratings: true")
        if self.model == "hybrid" and self.parts == ("ranking",):
            raise ValueError(
                "parts: ranking ranks again what other parts find; name some beside it, or set model: ranking"
            )
        if self.users.about and "two_tower" not in self.used and not self.ratings:
            raise ValueError(
                "users.about: only two_tower and the ratings read what is known of users. Name two_tower in parts, set "
                "ratings: true, or leave users out"
            )
        if len(set(self.at)) < len(self.at):
            raise ValueError("at: name each length once")
        if not (self.training.refit and self.ranking.training.refit):
            raise ValueError(
                "training.refit: all models are fitted on the validation rows too once they are chosen, since the "
                "newest rows tell the most; leave it out"
            )
        return self

    @property
    def used(self) -> tuple[str, ...]:
        """The models that are fitted."""
        return self.parts if self.model == "hybrid" else (self.model,)


def columns(settings: Recommender) -> Columns:
    return Columns(
        inputs=(
            Column(name="user", kind="id", meaning="who is recommended to"),
            Column(
                name="history",
                kind="list",
                required=False,
                scored_only=True,
                meaning="what the user has had, oldest first, in place of what the bundle knows of them",
            ),
            *_asked_ratings(settings),
            Column(name="time", kind="time", role="time", required=False, meaning="when the user had it"),
        ),
        targets=(
            Column(name="item", kind="id", meaning="what the user had"),
            Column(name="rating", kind="number", required=False, meaning="how the user liked it, more is better"),
        ),
        outputs=(
            Output(name="items", type="list", meaning="ids of the recommended items, the best first"),
            Output(name="scores", type="list", meaning="what each is ranked by; scores of two users don't compare"),
            Output(name="reasons", type="list", nullable=True, meaning="why each is there"),
            Output(name="candidates", type="integer", meaning="items that were ranked, the seen ones among them"),
            Output(
                name="popularity",
                type="float",
                nullable=True,
                meaning="mean share of the known users who had the items",
            ),
            Output(
                name="novelty",
                type="float",
                nullable=True,
                meaning="mean of -log2 of that share, in bits; an item that nobody had counts as if one user had",
            ),
            Output(
                name="diversity",
                type="float",
                nullable=True,
                meaning="1 less the mean likeness of two items of the list, by content or else by who had them; "
                "over 1 where they are contrary, such as the cheapest and the dearest",
            ),
            *_foretold_ratings(settings),
        ),
        resample="user",
    )


def _asked_ratings(settings: Recommender) -> tuple[Column, ...]:
    if not settings.ratings:
        return ()
    meaning = "items whose ratings by this user are asked for"
    return (Column(name="rate", kind="list", required=False, scored_only=True, meaning=meaning),)


def _foretold_ratings(settings: Recommender) -> tuple[Output, ...]:
    if not settings.ratings:
        return ()
    meaning = "what the user would give each item of `rate`, in the unit of the ratings"
    return (Output(name="ratings", type="list", nullable=True, meaning=meaning),)


def headline(settings: Recommender) -> Goal:
    return Goal(f"ndcg@{settings.at[0]}")


split = Split(by="time")
