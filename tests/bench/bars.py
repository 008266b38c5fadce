"""A picture of horizontal bars, as SVG: for each label a dark bar, and a light one below it."""
WIDTH, LABEL, RIGHT, BAR, GAP, TOP = 760, 300, 90, 16, 16, 46
DARK, LIGHT, GREEN, TEXT = '#4a6785', '#a9bfd4', '#2e7d4f', '#222222'


def rectangle(y, width, colour):
    return f'<rect x="{LABEL}" y="{y}" width="{width:.1f}" height="{BAR}" fill="{colour}"/>'


def text(x, y, words, more=''):
    return f'<text x="{x:.1f}" y="{y}" {more}>{words}</text>'


def draw(rows, title, number):
    """rows: (label, value of the dark bar, value of the light bar or None, colour of the dark bar).
    number(value): the text next to a bar."""
    most = max(max(dark, light or 0) for _, dark, light, _ in rows)
    scale = (WIDTH - LABEL - RIGHT) / most
    parts, y = [], TOP
    for label, dark, light, colour in rows:
        parts.append(text(LABEL - 8, y + BAR - 4, label, 'text-anchor="end"'))
        for value, fill in ((dark, colour), (light, LIGHT)):
            if value is not None:
                parts.append(rectangle(y, value * scale, fill))
                parts.append(text(LABEL + value * scale + 6, y + BAR - 4, number(value)))
                y += BAR
        y += GAP
    head = (f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{y}" viewBox="0 0 {WIDTH} {y}" '
            f'font-family="sans-serif" font-size="12" fill="{TEXT}">')
    return '\n'.join([head, f'<rect width="{WIDTH}" height="{y}" fill="#ffffff"/>',
                      text(16, 24, title, 'font-size="14"'), *parts, '</svg>', ''])
