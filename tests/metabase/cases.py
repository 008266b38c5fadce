"""The events of tests/cases, read by plain Python. Each file must give as many events as bronze-sink accepts: the table of
tests/e2e/27_cases.sh has these numbers.

Left out: live-first-old.jsonl, whose events are of the present time, and one-row-a-day.csv, a table for each of 6939 days.
"""
import csv
import datetime as dt
import decimal
import hashlib
import io
import json
import pathlib
import re
import zipfile

from world import KINDS, Event

ROOT = pathlib.Path(__file__).resolve().parents[2]
FOLDER = ROOT / 'tests' / 'cases'
LEFT_OUT = ('one-row-a-day.csv', 'latin1.csv', 'other-schema.csv/skip')  # the last two are read with their other flags
ENCODINGS = {'latin1.csv/encoding': 'latin-1', 'utf16.csv/encoding': 'utf-16'}
OTHER_NAMES = {'userid': 'user_id', 'sessionid': 'user_session', 'timestamp': 'event_time', 'eventtype': 'event_type', 'productid': 'product_id', 'amount': 'price'}
OTHER_TYPES = {'product_view': 'view', 'add_to_cart': 'cart'}
NULL_WORDS = ('', 'nan', 'none', 'null', 'undefined', r'\n', 'n/a')
TIME = re.compile(r'(\d{4}-\d\d-\d\d)[ Tt](\d\d:\d\d:\d\d)(?:\.(\d+))?\s*(?:(UTC|GMT|[Zz])|([+-]\d\d):?(\d\d)?)?')


def expected():
    """[(label, number of events)]"""
    table = (ROOT / 'tests' / 'e2e' / '27_cases.sh').read_text(encoding='utf-8')
    lines = re.findall(r'^([a-z0-9./-]+)\|[^|\n]*\|(\d+) \d+ \d+\|', table, re.MULTILINE)
    return [(label, int(events)) for label, events in lines if label not in LEFT_OUT]


def records(label):
    """Dictionaries with our names, of all files of a case."""
    path = FOLDER / label.split('/')[0]
    for file in sorted(path.iterdir()) if path.is_dir() else [path]:
        data = file.read_bytes()
        if data[:2] == b'PK':
            data = zipfile.ZipFile(io.BytesIO(data)).read(zipfile.ZipFile(io.BytesIO(data)).namelist()[0])
        text = data.decode(ENCODINGS.get(label, 'utf-8')).removeprefix('\ufeff')
        if file.suffix == '.jsonl':
            for line in text.splitlines():
                yield {k: v if isinstance(v, str) else json.dumps(v) for k, v in json.loads(line).items()}
            continue
        header, _, rest = text.partition('\n')
        names = [OTHER_NAMES.get(n.strip().lower(), n.strip().lower()) for n in re.split('[,;]', header)]
        yield from (dict(zip(names, row)) for row in csv.reader(io.StringIO(rest), delimiter=';' if ';' in header else ',') if row)


def instant(text):
    """UTC, without a zone; None: not a time."""
    if re.fullmatch(r'\d{10}(\d{3})?', text):
        return dt.datetime(1970, 1, 1) + dt.timedelta(milliseconds=int(text.ljust(13, '0')))
    found = TIME.fullmatch(text)
    if not found:
        return None
    day, clock, fraction, _, hours, minutes = found.groups()
    at = dt.datetime.fromisoformat(f'{day} {clock}') + dt.timedelta(microseconds=int((fraction or '0')[:6].ljust(6, '0')))
    shift = dt.timedelta(hours=abs(int(hours or 0)), minutes=int(minutes or 0))
    return at + shift if (hours or '').startswith('-') else at - shift


def number(text):
    """A positive whole number, also with .0; else None."""
    found = re.fullmatch(r'(\d+)(\.0+)?', text)
    return int(found[1]) or None if found else None


def amount(text, kind):
    """(is a price or none, price in cents)"""
    if text == '':
        return kind != 'purchase', None
    try:
        exact = decimal.Decimal(text)
    except decimal.InvalidOperation:
        return False, None
    cents = exact.quantize(decimal.Decimal('0.01'), rounding=decimal.ROUND_HALF_UP)
    return exact == cents >= 0, cents


def event(record):
    """None: refused."""
    value = {k: '' if v.strip().lower() in NULL_WORDS else v.strip() for k, v in record.items() if k}
    take = lambda name: value.get(name, '')
    time, product, user = instant(take('event_time')), number(take('product_id')), number(take('user_id'))
    kind = OTHER_TYPES.get(take('event_type'), take('event_type'))
    good, price = amount(take('price'), kind)
    if kind not in KINDS or None in (time, product, user) or not good:
        return None
    session = take('user_session')
    row = [take('event_time'), kind, str(product), str(number(take('category_id')) or ''), take('category_code'), take('brand'), '' if price is None else str(price), str(user), session]
    identity = hashlib.md5(f'{session}|{user}|{product}|{kind}|{time.isoformat()}'.encode()).digest()
    return Event(time, kind, product, row[4] or 'unknown', row[5] or 'unknown', price, user, session or f'user:{user}', identity, row)


def read(label):
    """The events of a case, each once: the first of several with one identity."""
    found = {}
    for e in map(event, records(label)):
        if e:
            found.setdefault(e.id, e)
    return list(found.values())
