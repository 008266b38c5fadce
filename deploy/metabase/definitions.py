"""Dashboards as files: dashboards/*.json have the layout, cards/*.sql one query each.

A dashboard file:
    name, description
    filters   slug, name, type: choice (with choices), date, or card (values are column `column` of card `card`); default
    tiles     card (cards/<card>.sql), name, description, display, settings, at [row, column], size [width, height]
              or text (Markdown), at, size
              perhaps click: card (one of details), values (variable of that card: column of the clicked row), and for a
              table, on: the column that can be clicked. Filters of the dashboard are passed on.
    helpers   cards without a tile: card, name, description, display (the source of a filter's values)
    details   cards without a tile, which a click opens: like tiles, and asks: further variables (slug, name). In their
              settings, $CARD:card stands for the number of a detail that comes before. Dashboards may share them.
The filters of a card are the variables of its SQL. Each must be the slug of a filter, and each filter of a dashboard
must be used by at least one of its cards. The grid is 24 columns wide.
"""
import dataclasses
import json
import pathlib
import re
from typing import Any, Callable, Optional

import template

HERE = pathlib.Path(__file__).resolve().parent
GRID_WIDTH = 24
LINK = re.compile(r"\$CARD:(\w+)")
DISPLAYS = ("funnel", "line", "area", "bar", "row", "scalar", "table")


class DefinitionError(Exception):
    """A file is wrong; the message names it."""


@dataclasses.dataclass(frozen=True)
class Filter:
    slug: str
    name: str
    type: str  # choice, date, card; ask: a variable that only a click sets
    choices: tuple[str, ...] = ()
    card: str = ""
    column: str = ""
    default: Optional[str] = None

    @property
    def tag_type(self) -> str:
        return "date" if self.type == "date" else "text"

    @property
    def parameter_type(self) -> str:
        return "date/single" if self.type == "date" else "string/="


@dataclasses.dataclass(frozen=True)
class Card:
    key: str
    name: str
    description: str
    display: str
    settings: dict[str, Any]
    sql: str
    asks: tuple[Filter, ...] = ()

    @property
    def variables(self) -> list[str]:
        return template.variables(self.sql)


@dataclasses.dataclass(frozen=True)
class Click:
    """What a click on a tile opens."""
    card: str
    values: dict[str, str]  # variable: column
    on: str = ""


@dataclasses.dataclass(frozen=True)
class Tile:
    row: int
    column: int
    width: int
    height: int
    card: Optional[Card] = None
    text: str = ""
    click: Optional[Click] = None


@dataclasses.dataclass(frozen=True)
class Dashboard:
    key: str
    name: str
    description: str
    filters: tuple[Filter, ...]
    tiles: tuple[Tile, ...]
    helpers: tuple[Card, ...]
    details: tuple[Card, ...]

    @property
    def filtered_cards(self) -> list[Card]:
        """Cards that run with the filters alone; first those that give filters their values."""
        return [*self.helpers, *(tile.card for tile in self.tiles if tile.card)]

    @property
    def cards(self) -> list[Card]:
        """All cards, each after those that it refers to."""
        return [*self.helpers, *self.details, *(tile.card for tile in self.tiles if tile.card)]

    def variables(self, card: Card) -> list[Filter]:
        """The variables of a card, in the order of their first use."""
        known = {f.slug: f for f in (*self.filters, *card.asks)}
        return [known[slug] for slug in card.variables]

    @property
    def defaults(self) -> dict[str, Optional[str]]:
        return {f.slug: f.default for f in self.filters}


def load(folder: pathlib.Path = HERE) -> list[Dashboard]:
    """All dashboards, checked."""
    found = [read_dashboard(path, folder / "cards") for path in sorted((folder / "dashboards").glob("*.json"))]
    if not found:
        raise DefinitionError(f"no dashboards in {folder / 'dashboards'}")
    names: dict[str, Card] = {}
    for card in (card for dashboard in found for card in dashboard.cards):
        if names.setdefault(card.name, card) != card:
            raise DefinitionError(f"two cards are called {card.name!r}: Metabase identifies cards by their names")
    return found


def read_dashboard(path: pathlib.Path, cards: pathlib.Path) -> Dashboard:
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        filters = tuple(Filter(**{**f, "choices": tuple(f.get("choices", ()))}) for f in raw["filters"])
        dashboard = Dashboard(path.stem, raw["name"], raw["description"], filters,
                              tuple(read_tile(t, cards) for t in raw["tiles"]),
                              tuple(read_card(c, cards) for c in raw.get("helpers", [])),
                              tuple(read_card(c, cards) for c in raw.get("details", [])))
    except KeyError as error:
        raise DefinitionError(f"{path}: missing {error}") from error
    except (ValueError, TypeError, OSError) as error:
        raise DefinitionError(f"{path}: {error}") from error
    check(dashboard, path)
    return dashboard


def read_tile(raw: dict[str, Any], cards: pathlib.Path) -> Tile:
    (row, column), (width, height) = raw["at"], raw["size"]
    if "text" in raw:
        return Tile(row, column, width, height, text=raw["text"])
    click = Click(**raw["click"]) if "click" in raw else None
    return Tile(row, column, width, height, card=read_card(raw, cards), click=click)


def read_card(raw: dict[str, Any], cards: pathlib.Path) -> Card:
    sql = (cards / f"{raw['card']}.sql").read_text(encoding="utf-8").strip()
    asks = tuple(Filter(ask["slug"], ask["name"], "ask") for ask in raw.get("asks", []))
    return Card(raw["card"], raw["name"], raw["description"], raw["display"], raw.get("settings", {}), sql, asks)


def check(dashboard: Dashboard, path: pathlib.Path) -> None:
    def wrong(why: str) -> DefinitionError:
        return DefinitionError(f"{path}: {why}")

    slugs = {f.slug for f in dashboard.filters}
    used = {name for card in dashboard.filtered_cards for name in card.variables}
    if slugs != used:
        raise wrong(f"filters {sorted(slugs)}, but the cards use {sorted(used)}")
    helpers = {card.key for card in dashboard.helpers}
    for f in dashboard.filters:
        if f.type not in ("choice", "date", "card") or (f.type == "choice") != bool(f.choices):
            raise wrong(f"filter {f.slug}: type {f.type!r} with {len(f.choices)} choices")
        if f.type == "card" and f.card not in helpers:
            raise wrong(f"filter {f.slug}: no helper card {f.card!r}")
        if f.type == "choice" and f.default is not None and f.default not in f.choices:
            raise wrong(f"filter {f.slug}: its default is not one of its choices")
    taken: set[tuple[int, int]] = set()
    for tile in dashboard.tiles:
        name = tile.card.name if tile.card else "text"
        cells = {(tile.row + y, tile.column + x) for y in range(tile.height) for x in range(tile.width)}
        if tile.column + tile.width > GRID_WIDTH or cells & taken:
            raise wrong(f"tile {name!r} is outside of the grid or covers another tile")
        taken |= cells
        if tile.card and tile.card.display not in DISPLAYS:
            raise wrong(f"tile {name!r}: display {tile.card.display!r} is not one of {', '.join(DISPLAYS)}")
        if tile.click:
            check_click(dashboard, tile.click, wrong)
    before: set[str] = set()
    for card in dashboard.details:
        asked = {ask.slug for ask in card.asks}
        if asked & slugs or asked - set(card.variables) or set(card.variables) - asked - slugs:
            raise wrong(f"detail {card.key!r} uses {card.variables}, and asks for {sorted(asked)}")
        if unknown := set(LINK.findall(json.dumps(card.settings))) - before:
            raise wrong(f"detail {card.key!r} refers to {sorted(unknown)}, which is not a detail before it")
        before.add(card.key)


def check_click(dashboard: Dashboard, click: Click, wrong: Callable[[str], DefinitionError]) -> None:
    detail = next((card for card in dashboard.details if card.key == click.card), None)
    if detail is None:
        raise wrong(f"a click opens {click.card!r}, which is not a detail")
    if unknown := set(click.values) - set(detail.variables):
        raise wrong(f"a click sets {sorted(unknown)}, which {click.card!r} does not use")
