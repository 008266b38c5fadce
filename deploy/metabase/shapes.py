"""Makes request bodies of Metabase's API from definitions. Has no I/O.

The API accepts only keys of its schemas. The cards use text and date variables and no field filters: these need
field ids, which exist only after a sync whose end cannot be observed.

The description of a stored card or dashboard ends with a digest of the request that wrote it. The digest shows
whether the card is up to date. Queries cannot be compared, because newer servers return them in another form. So a
change by hand in Metabase stays until the file changes (or `provision --force`).
"""
import hashlib
import json
import re
import uuid
from typing import Any, Optional

from definitions import LINK, Card, Click, Dashboard, Filter, Tile

Json = dict[str, Any]
NAMESPACE = uuid.UUID("6f9b8f0e-5d0c-4f0e-9a51-0d6a3c1f7b42")  # any fixed value, so that ids of tags are the same in every run
MARK = re.compile(r"\(definition ([0-9a-f]{12})\)$")


def mark_of(description: Optional[str]) -> Optional[str]:
    found = MARK.search(description or "")
    return found[1] if found else None


def marked(body: Json) -> Json:
    """The body, with its own digest at the end of the description."""
    digest = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()[:12]
    return {**body, "description": f"{body['description']} (definition {digest})"}


def tag_id(card: Card, slug: str) -> str:
    return str(uuid.uuid5(NAMESPACE, f"{card.key}/{slug}"))


def parameter_id(dashboard: Dashboard, slug: str) -> str:
    return uuid.uuid5(NAMESPACE, f"{dashboard.key}/{slug}").hex[:8]


def target(slug: str) -> list[Any]:
    return ["variable", ["template-tag", slug]]


def linked(settings: Json, card_ids: dict[str, int]) -> Json:
    """The settings with numbers in place of $CARD:key."""
    return json.loads(LINK.sub(lambda found: str(card_ids[found[1]]), json.dumps(settings)))


def card_body(card: Card, used: list[Filter], card_ids: dict[str, int], database_id: int, collection_id: int) -> Json:
    """used: the variables of the card. card_ids: the cards that its settings refer to."""
    tags = {f.slug: {"id": tag_id(card, f.slug), "name": f.slug, "display-name": f.name, "type": f.tag_type} for f in used}
    return marked({
        "name": card.name, "type": "question", "display": card.display, "description": card.description,
        "collection_id": collection_id, "visualization_settings": linked(card.settings, card_ids),
        "dataset_query": {"database": database_id, "type": "native", "native": {"query": card.sql, "template-tags": tags}},
        "parameters": [{"id": tag_id(card, f.slug), "type": f.parameter_type, "target": target(f.slug), "name": f.name, "slug": f.slug}
                       for f in used],
    })


def parameter(dashboard: Dashboard, f: Filter, card_ids: dict[str, int]) -> Json:
    body: Json = {"id": parameter_id(dashboard, f.slug), "name": f.name, "slug": f.slug, "type": f.parameter_type,
                  "sectionId": "date" if f.type == "date" else "string"}
    if f.type != "date":
        body |= {"isMultiSelect": False, "values_query_type": "list"}
    if f.type == "choice":
        body |= {"values_source_type": "static-list", "values_source_config": {"values": list(f.choices)}}
    if f.type == "card":
        body |= {"values_source_type": "card", "values_source_config": {
            "card_id": card_ids[f.card], "value_field": ["field", f.column, {"base-type": "type/Text"}]}}
    if f.default is not None:
        body["default"] = [f.default] if f.type != "date" else f.default
    return body


def click_behavior(dashboard: Dashboard, click: Click, card_ids: dict[str, int]) -> Json:
    """A link to a question whose variables are columns of the clicked row, or filters of the dashboard."""
    detail = next(card for card in dashboard.details if card.key == click.card)
    mapping: Json = {}
    for f in dashboard.variables(detail):
        if f.slug in click.values:
            source = {"type": "column", "id": click.values[f.slug], "name": click.values[f.slug]}
        elif f.type != "ask":
            source = {"type": "parameter", "id": parameter_id(dashboard, f.slug), "name": f.name}
        else:
            continue
        tag = tag_id(detail, f.slug)
        mapping[tag] = {"id": tag, "source": source, "target": {"type": "variable", "id": f.slug}}
    return {"type": "link", "linkType": "question", "targetId": card_ids[click.card], "parameterMapping": mapping}


def tile_settings(dashboard: Dashboard, tile: Tile, card_ids: dict[str, int]) -> Json:
    if tile.click is None:
        return {}
    behavior = {"click_behavior": click_behavior(dashboard, tile.click, card_ids)}
    return {"column_settings": {json.dumps(["name", tile.click.on], separators=(",", ":")): behavior}} if tile.click.on else behavior


def dashcard(dashboard: Dashboard, tile: Tile, card_ids: dict[str, int], dashboard_id: int) -> Json:
    """One tile, without its id."""
    place: Json = {"row": tile.row, "col": tile.column, "size_x": tile.width, "size_y": tile.height, "series": []}
    if tile.card is None:
        text = tile.text.replace("$DASHBOARD", f"/dashboard/{dashboard_id}")
        virtual = {"name": None, "display": "text", "visualization_settings": {}, "dataset_query": {}, "archived": False}
        return {**place, "card_id": None, "parameter_mappings": [],
                "visualization_settings": {"virtual_card": virtual, "text": text}}
    card_id = card_ids[tile.card.key]
    return {**place, "card_id": card_id, "visualization_settings": tile_settings(dashboard, tile, card_ids), "parameter_mappings": [
        {"parameter_id": parameter_id(dashboard, slug), "card_id": card_id, "target": target(slug)} for slug in tile.card.variables]}


def dashboard_body(dashboard: Dashboard, card_ids: dict[str, int], collection_id: int, dashboard_id: int) -> Json:
    """The body of PUT /api/dashboard/:id, without the ids of the tiles."""
    return marked({
        "name": dashboard.name, "description": dashboard.description, "collection_id": collection_id, "width": "full",
        "auto_apply_filters": True, "parameters": [parameter(dashboard, f, card_ids) for f in dashboard.filters],
        "dashcards": [dashcard(dashboard, tile, card_ids, dashboard_id) for tile in dashboard.tiles], "tabs": [],
    })
