"""A throw-away PostgreSQL with the project's tables and views, and data in it that was counted apart, in plain Python.

Events come from a CSV. Tables that the pipeline would have filled are filled here: raw.events as by pg-loader, the two rollups
that dashboards read by SQL, visits by the definition, one session after the other. Then reporting.refresh() does its
work. What tiles must show is recounted from the list of events (see recount.py), not from these tables.
"""
import csv
import dataclasses
import datetime as dt
import decimal
import glob
import gzip
import hashlib
import io
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import uuid

ROOT = pathlib.Path(__file__).resolve().parents[2]
READER = 'dashboards_test'  # a login with the role that Metabase is given
STAGES = ('view', 'cart', 'purchase')
KINDS = ('view', 'cart', 'remove_from_cart', 'checkout', 'purchase')


@dataclasses.dataclass
class Event:
    time: dt.datetime
    kind: str
    product: int
    category: str  # unknown without one
    brand: str
    price: decimal.Decimal | None
    user: int
    session: str  # user:<id> without one
    id: bytes
    row: list[str]

    def __post_init__(self):
        self.day = self.time.date()
        self.level1 = self.category.split('.')[0]
        self.revenue = self.price if self.kind == 'purchase' else decimal.Decimal(0)


@dataclasses.dataclass
class Visit:
    events: list[Event]

    @property
    def start(self):
        return self.events[0].time

    @property
    def end(self):
        return self.events[-1].time

    @property
    def entry(self):
        return self.events[0].level1

    @property
    def revenue(self):
        return sum(e.revenue for e in self.events)

    def viewed(self):
        return any(e.kind == 'view' for e in self.events)

    def bought(self):
        """How it bought; None if it did not. Each purchase is tried with each view and cart."""
        views, carts, purchases = ([e.time for e in self.events if e.kind == kind] for kind in STAGES)
        if not purchases:
            return None
        if not views:
            return 'without a view'
        if not any(p >= v for p in purchases for v in views):
            return 'before their first view'
        return 'via cart' if any(v <= c <= p for v in views for c in carts for p in purchases) else 'without cart'

    def stage(self, stages=STAGES):
        """How many of the stages it has reached, each at or after the one before."""
        reached, since = 0, None
        for kind in stages:
            times = [e.time for e in self.events if e.kind == kind and (since is None or e.time >= since)]
            if not times:
                return reached
            reached, since = reached + 1, min(times)
        return reached


def read_events(path):
    """The valid events of a CSV, each once. Only as strict as these files need it: what has a price that is a number is valid."""
    data = gzip.open(path).read() if str(path).endswith('.gz') else pathlib.Path(path).read_bytes()
    events, seen = [], set()
    for line in data.splitlines():
        try:
            row = next(csv.reader([line.decode('utf-8')]))
            time = dt.datetime.fromisoformat(row[0].removesuffix(' UTC'))
            price = decimal.Decimal(row[6]) if row[6] else None
            product, user = int(row[2]), int(row[7])
        except (ValueError, IndexError, StopIteration, decimal.InvalidOperation, csv.Error):
            continue
        if len(row) != 9 or row[1] not in KINDS or min(product, user) <= 0 or (price is None and row[1] == 'purchase') or (price is not None and price < 0):
            continue
        identity = hashlib.md5(f'{row[8]}|{user}|{product}|{row[1]}|{time:%Y-%m-%d %H:%M:%S}'.encode()).digest()
        if identity not in seen:
            seen.add(identity)
            events.append(Event(time, row[1], product, row[4] or 'unknown', row[5] or 'unknown', price, user, row[8] or f'user:{user}', identity, row))
    return events


def visits_of(events):
    sessions, visits = {}, []
    for e in sorted(events, key=lambda e: (e.time, e.id)):
        run = sessions.get(e.session)
        if run is None or e.day != run.end.date() or e.time - run.end > dt.timedelta(minutes=30):
            run = sessions[e.session] = Visit([])
            visits.append(run)
        run.events.append(e)
    return visits


# ------------------------------------------------------------------ PostgreSQL

class Cluster:
    def __enter__(self):
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # through __exit__, which stops the server
        self.bin = os.path.dirname((sorted(glob.glob('/usr/lib/postgresql/*/bin/initdb')) or [shutil.which('initdb') or ''])[-1])
        self.dir, self.is_migrated = tempfile.mkdtemp(prefix='metabase-test.'), False
        self.prefix = []
        if os.geteuid() == 0:
            shutil.chown(self.dir, 'postgres')
            self.prefix = ['runuser', '-u', 'postgres', '--']
        self.server('initdb', '-D', self.dir + '/data', '-U', 'postgres', '-A', 'trust', '-E', 'UTF8', '--locale=C.UTF-8', '--no-sync')
        with open(self.dir + '/data/postgresql.conf', 'a', encoding='utf-8') as conf:
            conf.write(f"listen_addresses = ''\nunix_socket_directories = '{self.dir}'\nfsync = off\nsynchronous_commit = off\n"
                       "full_page_writes = off\nshared_buffers = 256MB\nmax_locks_per_transaction = 256\ntimezone = 'Pacific/Auckland'\n"
                       'jit = off\n')  # compiling a statement takes longer than running it on the few rows of a test
        self.server('pg_ctl', '-D', self.dir + '/data', '-l', self.dir + '/log', '-w', 'start')
        return self

    def __exit__(self, *_):
        try:
            self.server('pg_ctl', '-D', self.dir + '/data', '-m', 'immediate', '-w', 'stop')
        finally:
            shutil.rmtree(self.dir, ignore_errors=True)

    def server(self, program, *arguments):
        done = subprocess.run([*self.prefix, os.path.join(self.bin, program), *arguments], cwd=self.dir, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f'{program}: {done.stdout}')

    def dsn(self, database, user='postgres'):
        return f'host={self.dir} port=5432 dbname={database} user={user}'

    def psql(self, database, script, user='postgres', one_transaction=False):
        done = subprocess.run(['psql', '-XqAt', '-v', 'ON_ERROR_STOP=1', *(['-1'] if one_transaction else []), '-d', self.dsn(database, user), '-f', '-'],
                              input=script, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(done.stderr)
        return done.stdout

    def answers(self, database, queries, user=READER):
        """The rows of each query, as lists of values; numbers with decimals are Decimal."""
        script = ''.join("SELECT replace(coalesce(json_agg(t), '[]')::text, E'\\n', '') FROM (\n%s\n) AS t;\n" % sql for sql in queries)
        lines = self.psql(database, script, user).splitlines()
        assert len(lines) == len(queries), (len(lines), len(queries))
        return [[list(row.values()) for row in json.loads(line, parse_float=decimal.Decimal)] for line in lines]

    def create(self, database):
        """A database with all SQL: a copy of one that is made of the files once."""
        if not self.is_migrated:
            self.is_migrated = True
            self.psql('postgres', 'CREATE DATABASE migrated')
            self.migrate('migrated')
        self.psql('postgres', f'CREATE DATABASE {database} TEMPLATE migrated')

    def migrate(self, database):
        files = sum((sorted((ROOT / 'sql' / folder).glob('*.sql')) for folder in ('tables', 'functions', 'views')), [])
        script = ''.join(path.read_text(encoding='utf-8') for path in files + [ROOT / 'sql' / 'rights.sql'])
        self.psql(database, 'SET client_min_messages = warning;\nSET check_function_bodies = off;\n' + script, one_transaction=True)
        self.psql(database, f"CREATE ROLE {READER} LOGIN PASSWORD 'secret' IN ROLE funnel_metabase")

    def copy(self, database, table, columns, rows):
        out = io.StringIO()
        csv.writer(out, lineterminator='\n').writerows(rows)
        done = subprocess.run(['psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-d', self.dsn(database), '-c', f'COPY {table} ({columns}) FROM STDIN WITH (FORMAT csv)'],
                              input=out.getvalue(), capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(done.stderr)

    def fill(self, database, events, visits, stages=STAGES):
        self.psql(database, ''.join(f"SELECT raw.ensure_event_partition('{day}');\n" for day in sorted({e.day for e in events})))
        rows = ([uuid.UUID(bytes=e.id), f'{e.time}+00', e.day, *e.row[1:6], e.price, e.user, e.row[8], 0, n, '2026-01-01 00:00:00+00']
                for n, e in enumerate(events))
        self.psql(database, f'CREATE TABLE staged AS SELECT {EVENT_COLUMNS} FROM raw.late_events WITH NO DATA')
        self.copy(database, 'staged', EVENT_COLUMNS, rows)
        self.psql(database, STORE + '; DROP TABLE staged', one_transaction=True)
        self.psql(database, "INSERT INTO processed.counts (service, topic, partition, records_in, records_out, duplicates, late, dead, dead_by_reason, revision, stages) "
                            f"VALUES ('funnel-aggregator', 'bronze_events', 0, 0, 0, 0, 0, 0, '{{}}', 0, '{','.join(stages)}')")
        for rollup, unit, group in (('1m:all', 'minute', "'all'"), ('1d:all', 'day', "'all'"), ('1m:category1', 'minute', "split_part(coalesce(category_code, 'unknown'), '.', 1)")):
            self.psql(database, ROLLUP % (rollup, unit, unit, unit, group))
        self.psql(database, 'CREATE TABLE staged AS SELECT * FROM processed.session_funnels WITH NO DATA')
        self.copy(database, 'staged', 'user_session,visit_start,visit_end,user_id,views,carts,removes,checkouts,purchases,products,revenue,'
                  'first_category,last_category,furthest_stage,drop_off_stage,duration_ms,view_to_cart_ms,view_to_purchase_ms,final,revision,'
                  'view_purchase,view_cart_purchase', (visit_row(v, stages) for v in visits))
        self.psql(database, 'SELECT processed.store_visits(array_agg(ROW(s.*)::processed.session_funnels)) FROM staged s; DROP TABLE staged', one_transaction=True)
        while int(self.psql(database, 'SELECT events_waiting FROM reporting.refresh(10000)')) > 0:
            pass
        # Each refresh counts for about a second.
        while int(self.psql(database, 'SELECT count(*) FROM mart.stale_shopping_days')) > 0:
            self.psql(database, "UPDATE mart.state SET shopping_after = '0'; SELECT reporting.refresh(); UPDATE mart.state SET shopping_after = '30 minutes'")


EVENT_COLUMNS = ('event_id,event_time,event_date,event_type,product_id,category_id,category_code,brand,price,user_id,user_session,'
                 'raw_partition,raw_offset,raw_time')
STORE = f"""
SELECT processed.store_events(array_agg(ROW({EVENT_COLUMNS.replace(',raw_partition', ',NULL,NULL,raw_partition')}, NULL)::raw.events)) FROM staged"""

ROLLUP = """
INSERT INTO processed.funnel_aggregates
SELECT '%s', date_trunc('%s', event_time, 'UTC'), date_trunc('%s', event_time, 'UTC') + interval '1 %s', %s,
       count(*) FILTER (WHERE event_type = 'view'), count(*) FILTER (WHERE event_type = 'cart'),
       count(*) FILTER (WHERE event_type = 'remove_from_cart'), count(*) FILTER (WHERE event_type = 'checkout'),
       count(*) FILTER (WHERE event_type = 'purchase'), coalesce(sum(price) FILTER (WHERE event_type = 'purchase'), 0),
       count(DISTINCT coalesce(user_session, 'user:' || user_id)), 0, 0, 0, 0, 0, 0, true, 1
FROM raw.events GROUP BY 2, 3, 4"""


def wait_ms(v, kind):
    """From the first view to the first such event at or after it."""
    viewed = min((e.time for e in v.events if e.kind == 'view'), default=None)
    times = [e.time for e in v.events if e.kind == kind and viewed is not None and e.time >= viewed]
    return (min(times) - viewed) // dt.timedelta(milliseconds=1) if times else None


def visit_row(v, stages):
    first, last, stage = v.events[0], v.events[-1], v.stage(stages)
    counts = [sum(e.kind == kind for e in v.events) for kind in KINDS]
    return [first.session, f'{v.start}+00', f'{v.end}+00', first.user, *counts, len({e.product for e in v.events}), v.revenue, first.row[4], last.row[4],
            stage, None if counts[4] or stage == len(stages) else ('none', *stages)[stage], (v.end - v.start) // dt.timedelta(milliseconds=1), wait_ms(v, 'cart'), wait_ms(v, 'purchase'),
            'true', 1, v.bought() in ('via cart', 'without cart'), v.bought() == 'via cart']
