"""Charts as SVG and HTML text, from rows that are dictionaries in the order of their columns.

Every function gives a whole element; a thing that stands for a datum has the class `mark`. Widths are in units that are
about a pixel on a desktop. Numbers come as int or Decimal and are written exactly.

Rejected: matplotlib. It would add 60 MB of packages to the set-up. Its SVG has no tooltips, does not follow the width of the
page, and has no classes by which a test finds the marks.
"""
import datetime as dt
import decimal
import html
import math
import re
from typing import Any, Callable, Optional, Union

Row = dict[str, Any]
INK, FAINT, GRID = "#1f2933", "#6b7785", "#e6e9ed"
BLUE, GREEN = "#3b6fb6", "#2f8f6b"
SERIES = {"view": "#7fa6d6", "cart": "#e8a33d", "remove from cart": "#a9b2bd", "checkout": "#8d7cc9", "purchase": GREEN,
          "sessions": BLUE, "users": "#d1603d"}
TIME = re.compile(r"\d{4}-\d\d-\d\d(T|$)")
FUNNEL = ["#7fa6d6", "#e8a33d", GREEN]


def esc(text: Any) -> str:
    return html.escape(str(text), quote=True)


def number(value: Any) -> str:
    """With thousands separators; decimals unchanged."""
    if value is None:
        return "–"
    if isinstance(value, (int, decimal.Decimal)) and not isinstance(value, bool):
        return f"{value:,}".replace("-", "−")
    return str(value)


def short(value: float) -> str:
    """For axes: 1.2k, 3M."""
    for limit, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= limit:
            return f"{value / limit:.4g}{letter}"
    return f"{value:.4g}"


def percent(part: Any, whole: Any) -> str:
    return "–" if not whole else f"{100 * part / whole:.1f} %"


def ticks(values: list[Any], wanted: int = 4) -> list[float]:
    """Round numbers from 0 to at least the greatest value; integers for counts."""
    top = max(map(float, values), default=0.0)
    if top <= 0:
        return [0.0, 1.0]
    raw = top / wanted
    if all(isinstance(v, int) for v in values):
        raw = max(raw, 1.0)
    size = 10.0 ** math.floor(math.log10(raw))
    step = next(m * size for m in (1, 2, 2.5, 5, 10) if m * size >= raw * 0.999)
    return [step * n for n in range(math.ceil(top / step - 1e-9) + 1)]


def text(x: float, y: float, words: str, anchor: str = "start", size: float = 12, color: str = INK, weight: str = "normal") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size:g}" fill="{color}" font-weight="{weight}">{esc(words)}</text>'


def bar_shape(x: float, y: float, width: float, height: float, color: str, title: str) -> str:
    return (f'<rect class="mark" x="{x:.1f}" y="{y:.1f}" width="{max(width, 1) if width > 0 else 0:.1f}" height="{max(height, 0):.1f}" rx="2" fill="{color}">'
            f"<title>{esc(title)}</title></rect>")


def svg(width: float, height: float, label: str, parts: list[str]) -> str:
    return (f'<svg viewBox="0 0 {width:g} {height:g}" role="img" aria-label="{esc(label)}" preserveAspectRatio="xMinYMin meet">'
            f'{"".join(parts)}</svg>')


def cut(words: str, room: int) -> str:
    return words if len(words) <= room else "…" + words[-(room - 1):]


def funnel(rows: list[Row], width: float, label: str, dimension: str, metric: str) -> str:
    """A bar per stage, as wide as its share of the first stage; below it, the number that left at that stage."""
    first = rows[0][metric] if rows else 0
    parts, y, room = [], 4.0, width - 8
    for i, row in enumerate(rows):
        value = row[metric]
        share = value / first if first else 0
        parts.append(text(4, y + 12, row[dimension], weight="600"))
        parts.append(text(width - 4, y + 12, f"{number(value)}  ({percent(value, first)})", "end"))
        parts.append(f'<rect x="4" y="{y + 18:.1f}" width="{room:.1f}" height="22" rx="2" fill="#f1f3f6"/>')
        parts.append(bar_shape(4, y + 18, float(share) * room, 22, FUNNEL[i % len(FUNNEL)], f"{row[dimension]}: {number(value)}"))
        if i + 1 < len(rows):
            left = value - rows[i + 1][metric]
            share_left = f" ({percent(left, value)} of these)" if value else ""
            parts.append(text(4, y + 55, f"{number(left)} went no further{share_left}", color=FAINT))
        y += 70
    return svg(width, y - 18, label, parts)


def rows_chart(rows: list[Row], width: float, label: str, dimension: str, metric: str) -> str:
    """Horizontal bars, one per row."""
    top = max((float(row[metric]) for row in rows), default=0) or 1
    left = min(0.45 * width, 14 + 7.4 * max((len(str(row[dimension])) for row in rows), default=0))
    names = [cut(str(row[dimension]), int((left - 14) / 7.0) + 1) for row in rows]
    right = 14 + 7.2 * max((len(number(row[metric])) for row in rows), default=0)
    step, parts = 24.0, []
    for i, row in enumerate(rows):
        y = 4 + i * step
        length = float(row[metric]) / top * (width - left - right)
        parts.append(text(left - 8, y + 13, names[i], "end"))
        parts.append(bar_shape(left, y, length, 17, BLUE, f"{row[dimension]}: {number(row[metric])}"))
        parts.append(text(left + max(length, 0.5) + 6, y + 13, number(row[metric]), color=FAINT))
    return svg(width, 8 + step * len(rows), label, parts)


class TimeAxis:
    """Places times, days (YYYY-MM-DD), hours or minutes (ISO), between left and right, and labels some of them."""

    def __init__(self, values: list[str], left: float, right: float):
        self.by_day = all(len(v) == 10 for v in values)
        times = [self.seconds(v) for v in values]
        self.low, self.high = min(times), max(times)
        self.by_hour = not self.by_day and all(at % 3600 == 0 for at in times) and len(times) > 1
        self.unit = 86400.0 if self.by_day else 3600.0 if self.by_hour else 60.0
        self.left, self.right = left, right
        self.slots = (self.high - self.low) / self.unit + 1
        self.slot = (right - left) / self.slots

    @staticmethod
    def seconds(value: str) -> float:
        if len(value) == 10:
            return dt.datetime.fromisoformat(value).replace(tzinfo=dt.timezone.utc).timestamp()
        return dt.datetime.fromisoformat(value).timestamp()

    def x(self, value: str) -> float:
        """Left edge of the value's slot."""
        return self.left + (self.seconds(value) - self.low) / self.unit * self.slot

    def write(self, seconds: float) -> str:
        time = dt.datetime.fromtimestamp(seconds, dt.timezone.utc)
        if self.by_hour and self.high - self.low >= 86400:
            return f"{time.day} {time:%b %H:%M}"
        return f"{time.day} {time:%b}" if self.by_day else f"{time:%H:%M}"

    def labels(self, y: float) -> list[str]:
        steps = ((1, 2, 7, 14, 30, 60, 90, 180, 365, 730) if self.by_day else (1, 2, 3, 6, 12, 24, 48, 96, 168) if self.by_hour else
                 (1, 2, 5, 10, 15, 30, 60, 120, 180, 360))
        room = max(2, int((self.right - self.left) / (90 if self.by_hour else 60)))
        step = next((s for s in steps if self.slots / s <= room), steps[-1]) * self.unit
        first = self.low if self.by_day else math.ceil(self.low / step) * step
        parts, at = [], first
        while at <= self.high:
            parts.append(text(self.left + ((at - self.low) / self.unit + 0.5) * self.slot, y, self.write(at), "middle", 11, FAINT))
            at += step
        return parts


class NameAxis:
    """Places names, such as hours of the day, in their order between left and right, and labels some of them."""

    def __init__(self, values: list[str], left: float, right: float):
        self.names = list(dict.fromkeys(values))
        self.left, self.right = left, right
        self.slot = (right - left) / len(self.names)

    def seconds(self, value: str) -> float:
        return float(self.names.index(value))

    def x(self, value: str) -> float:
        return self.left + self.seconds(value) * self.slot

    def write(self, place: float) -> str:
        return self.names[int(place)]

    def labels(self, y: float) -> list[str]:
        longest = max(len(cut(name, 16)) for name in self.names)
        every = math.ceil((7 * longest + 6) / self.slot)
        return [text(self.x(name) + self.slot / 2, y, cut(name, 16), "middle", 11, FAINT) for name in self.names[::every]]


Axis = Union[TimeAxis, NameAxis]


def axis_of(values: list[str], left: float, right: float) -> Axis:
    """By time if all values are times."""
    return (TimeAxis if all(TIME.match(v) for v in values) else NameAxis)(values, left, right)


def axis(marks: list[float], place: Callable[[float], float], left: float, right: float) -> list[str]:
    parts = []
    for mark in marks:
        y = place(mark)
        parts.append(f'<line x1="{left:.1f}" x2="{right:.1f}" y1="{y:.1f}" y2="{y:.1f}" stroke="{GRID}"/>')
        parts.append(text(left - 6, y + 4, short(mark), "end", 11, FAINT))
    return parts


def columns(rows: list[Row], width: float, label: str, dimension: str, metric: str, height: float = 230, color: str = GREEN) -> str:
    """Vertical bars over time or names. A time without a row has none."""
    return svg(width, height, label, column_parts(rows, width, 8, height - 24, dimension, metric, color, axis_of([r[dimension] for r in rows], 48, width - 6), True))


def column_parts(rows: list[Row], width: float, top: float, bottom: float, dimension: str, metric: str, color: str, time: Axis, labels: bool,
                 wanted: int = 4) -> list[str]:
    marks = ticks([r[metric] for r in rows], wanted)
    def place(value: float) -> float:
        return bottom - value / marks[-1] * (bottom - top)
    parts = axis(marks, place, time.left, width - 6)
    gap = min(3.0, time.slot * 0.15)
    thick = min(time.slot - gap, 60)
    for row in rows:
        y = place(float(row[metric]))
        x = time.x(row[dimension]) + (time.slot - thick) / 2
        parts.append(bar_shape(x, y, thick, bottom - y, color, f"{time.write(time.seconds(row[dimension]))}: {number(row[metric])}"))
    return parts + (time.labels(bottom + 16) if labels else [])


def strips(rows: list[Row], width: float, label: str, dimension: str, series: str, metric: str) -> str:
    """A strip of columns for each series with its own scale: with one scale, views would hide the others."""
    names = list(dict.fromkeys(row[series] for row in rows))
    names.sort(key=lambda n: list(SERIES).index(n) if n in SERIES else len(SERIES))
    time = TimeAxis([r[dimension] for r in rows], 48, width - 6)
    parts, y = [], 0.0
    for name in names:
        own = [r for r in rows if r[series] == name]
        parts.append(text(4, y + 13, name, weight="600"))
        # Percentages do not add up.
        about = f"newest: {number(own[-1][metric])} %" if metric == "percent" else f"{number(sum(r[metric] for r in own))} {metric}"
        parts.append(text(width - 6, y + 13, about, "end", 11, FAINT))
        parts += column_parts(own, width, y + 24, y + 66, dimension, metric, SERIES.get(name, BLUE), time, False, 2)
        y += 78
    return svg(width, y + 14, label, parts + time.labels(y + 6))


def lines(rows: list[Row], width: float, label: str, dimension: str, metrics: list[str], height: float = 230) -> str:
    """One line per metric, with a point at every value."""
    time = TimeAxis([r[dimension] for r in rows], 48, width - 6)
    legend = 20 if len(metrics) > 1 else 0
    top, bottom = 10.0 + legend, height - 24
    marks = ticks([r[m] for r in rows for m in metrics])
    def place(value: float) -> float:
        return bottom - value / marks[-1] * (bottom - top)
    parts = axis(marks, place, 48, width - 6)
    at = 48.0
    for metric in metrics:
        color = SERIES.get(metric, GREEN)
        points = [(time.x(r[dimension]) + time.slot / 2, place(float(r[metric])), r) for r in rows]
        parts.append(f'<polyline fill="none" stroke="{color}" stroke-width="2" points="{" ".join(f"{x:.1f},{y:.1f}" for x, y, _ in points)}"/>')
        for x, y, r in points:
            parts.append(f'<circle class="mark" cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{color}"><title>{esc(r[dimension])}: {esc(number(r[metric]))} {esc(metric)}</title></circle>')
        if legend:
            parts.append(f'<rect x="{at:.1f}" y="3" width="10" height="10" rx="2" fill="{color}"/>' + text(at + 15, 12, metric))
            at += 30 + 7.5 * len(metric)
    return svg(width, height, label, parts + time.labels(bottom + 16))


def heading(name: str) -> str:
    return name.replace("_percent", " %").replace("_", " ")


def cell(value: Any) -> str:
    if isinstance(value, bool) or value is None:
        return number(value)
    if isinstance(value, str) and len(value) > 18 and value[10] == "T":
        return value[:10] + " " + value[11:19]
    return number(value)


def table(rows: list[Row]) -> str:
    numeric = {k for k in rows[0] if all(r[k] is None or isinstance(r[k], (int, decimal.Decimal)) for r in rows)}
    def attribute(key: str) -> str:
        return ' class="n"' if key in numeric else ""
    head = "".join(f"<th{attribute(k)}>{esc(heading(k))}</th>" for k in rows[0])
    body = "".join('<tr class="mark">' + "".join(f"<td{attribute(k)}>{esc(cell(v))}</td>" for k, v in row.items()) + "</tr>" for row in rows)
    return f"<div class=\"scroll\"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"


def draw(display: str, settings: Row, rows: list[Row], width: float, label: str) -> Optional[str]:
    """The element for the rows of a card; None if there is nothing to draw."""
    if not rows:
        return None
    if display == "scalar":
        return f'<p class="big">{esc(number(next(iter(rows[0].values()))))}</p>'
    if display == "table":
        return table(rows)
    if display == "funnel":
        return funnel(rows, width, label, settings["funnel.dimension"], settings["funnel.metric"])
    dimensions, metrics = settings["graph.dimensions"], settings["graph.metrics"]
    if display == "row":
        return rows_chart(rows, width, label, dimensions[0], metrics[0])
    if len(dimensions) == 2:
        return strips(rows, width, label, dimensions[0], dimensions[1], metrics[0])
    if display == "bar":
        return columns(rows, width, label, dimensions[0], metrics[0])
    return lines(rows, width, label, dimensions[0], metrics)
