"""What each tile must show, counted from the list of events. One function per card; it takes the values of the filters by slug."""
import collections
import datetime as dt
import decimal

from world import KINDS, STAGES

Decimal = decimal.Decimal
DAY = dt.timedelta(days=1)
LABELS = dict(zip(KINDS, ('view', 'cart', 'remove from cart', 'checkout', 'purchase')))


def rounded(value, digits):
    return None if value is None else Decimal(value).quantize(Decimal(1).scaleb(-digits), rounding=decimal.ROUND_HALF_UP)


def ratio(a, b):
    return None if not b else Decimal(a) / Decimal(b)


def percent(a, b, digits=1):
    return None if not b else rounded(Decimal(100) * a / b, digits)


def stamp(time):
    return time.strftime('%Y-%m-%dT%H:%M:%S+00:00')


class Recount:
    def __init__(self, events, visits, segments=(), stages=STAGES):
        self.events, self.visits, self.segments, self.stages = events, [(v, v.stage(stages)) for v in visits], list(segments), stages
        newest = max((e.time for e in events), default=None)
        self.now = newest and newest.replace(second=0, microsecond=0) + dt.timedelta(minutes=1)
        self.today = newest and newest.date()
        self.first = newest and dt.datetime.combine(min(e.day for e in events), dt.time())

    def rows(self, card, values):
        return getattr(self, card)(values)

    def start(self, period):
        midnight = dt.datetime.combine(self.today, dt.time())
        return {'last 5 minutes': self.now - dt.timedelta(minutes=5), 'last 15 minutes': self.now - dt.timedelta(minutes=15),
                'last hour': self.now - dt.timedelta(hours=1), 'last 3 hours': self.now - dt.timedelta(hours=3), 'today': midnight,
                'last 7 days': midnight - 6 * DAY, 'last 30 days': midnight - 29 * DAY, 'last 90 days': midnight - 89 * DAY,
                'everything': self.first}[period]

    # ---- live
    def live_events(self, period, category):
        since = self.start(period or 'last hour').replace(second=0)
        return [e for e in self.events if e.time >= since and category in (None, e.level1)]

    def active(self, period, category):
        since = self.start(period)
        return [(v, stage) for v, stage in self.visits if v.end >= since and category in (None, v.entry)]

    def branches(self, found):
        """What became of each visit, one after the other. The branches of the viewers add up to them."""
        bought, left = collections.Counter(), collections.Counter()
        for v, stage in found:
            if v.bought():
                bought[v.bought()] += 1
            elif v.viewed():
                left[stage] += 1
        rows = [['bought ' + way, bought[way]] for way in ('via cart', 'without cart', 'before their first view') if bought[way] or way != 'before their first view']
        rows += [['left after ' + self.stages[stage - 1].replace('_', ' ') if stage else 'left before the first stage', n] for stage, n in sorted(left.items())]
        viewed = sum(v.viewed() for v, _ in found)
        assert viewed == sum(n for _, n in rows)
        return [['viewed', viewed], *rows] + [['bought without a view', n] for n in (bought['without a view'],) if n]

    def live_categories(self, _):
        return [[c] for c in sorted({e.level1 for e in self.events})]

    def live_clock(self, _):
        return [[self.now.strftime('%Y-%m-%d %H:%M')]]

    def live_visits(self, f):
        return [[len(self.active('last 5 minutes', f.get('category')))]]

    def live_purchases_today(self, f):
        return [[sum(e.kind == 'purchase' for e in self.live_events('today', f.get('category')))]]

    def live_revenue_today(self, f):
        return [[sum((e.revenue for e in self.live_events('today', f.get('category'))), Decimal(0))]]

    def live_funnel_now(self, f):
        return self.branches(self.active('last 5 minutes', f.get('category')))

    def live_funnel_last_hour(self, f):
        return self.branches(self.active('last hour', f.get('category')))

    def live_funnel_today(self, f):
        return self.branches(self.active('today', f.get('category')))

    def live_events_per_minute(self, f):
        found = collections.Counter((e.time.replace(second=0, microsecond=0), KINDS.index(e.kind)) for e in self.live_events(f.get('period'), f.get('category')))
        return [[stamp(minute), LABELS[KINDS[kind]], n] for (minute, kind), n in sorted(found.items())]

    def live_revenue_per_minute(self, f):
        found = collections.defaultdict(Decimal)
        for e in self.live_events(f.get('period'), f.get('category')):
            found[e.time.replace(second=0, microsecond=0)] += e.revenue
        return [[stamp(minute), revenue] for minute, revenue in sorted(found.items())]

    def live_conversion(self, f):
        rows = []
        for span in ('last 15 minutes', 'last hour', 'last 3 hours', 'today'):
            views, purchases = self.between(self.start(span), self.now, f.get('category'))
            views_before, purchases_before = self.between(self.start(span) - DAY, self.now - DAY, f.get('category'))
            rate, before = percent(purchases, views, 2), percent(purchases_before, views_before, 2)
            rows.append([span, views, purchases, rate, before, None if None in (rate, before) else rate - before])
        return rows

    def between(self, start, end, category):
        found = [e.kind for e in self.events if start <= e.time < end and category in (None, e.level1)]
        return found.count('view'), found.count('purchase')

    def live_top_categories(self, f):
        return self.by_group(self.live_events(f.get('period'), f.get('category')), lambda e: e.level1, lambda r: (-r[3], -r[1], r[0]), 10)

    @staticmethod
    def by_group(events, key, order, limit):
        """[group, views, purchases, revenue]"""
        groups = collections.defaultdict(list)
        for e in events:
            groups[key(e)].append(e)
        rows = [[group, sum(e.kind == 'view' for e in es), sum(e.kind == 'purchase' for e in es), sum((e.revenue for e in es), Decimal(0))] for group, es in groups.items()]
        return sorted(rows, key=order)[:limit]

    # ---- business
    def days(self, f):
        first, last = self.start(f.get('period') or 'last 30 days').date(), self.today
        return max(first, f.get('from') or first), min(last, f.get('to') or last)

    def in_days(self, f, category=True):
        first, last = self.days(f)
        wanted = f.get('category') if category else None
        return [e for e in self.events if first <= e.day <= last and (wanted is None or e.category == wanted or e.category.startswith(wanted + '.'))]

    def cohort(self, f):
        first, last = self.days(f)
        wanted = f['category'].split('.')[0] if f.get('category') else None
        return [(v, stage) for v, stage in self.visits if first <= v.start.date() <= last and wanted in (None, v.entry)]

    def business_categories(self, _):
        return [[c] for c in sorted({e.category for e in self.events} | {e.level1 for e in self.events})]

    def sales(self, first, last):
        bought = [e for e in self.events if e.kind == 'purchase' and first <= e.day <= last]
        earlier = {e.user for e in self.events if e.kind == 'purchase' and e.day < first}
        orders = collections.defaultdict(set)
        for e in bought:
            orders[e.user].add(e.session)
        revenue, sessions = sum((e.revenue for e in bought), Decimal(0)), len({e.session for e in bought})
        repeat = sum(len(s) > 1 for s in orders.values())
        return [revenue, len(bought), sessions, rounded(ratio(revenue, sessions), 2), len(orders), repeat, len(set(orders) - earlier), rounded(ratio(repeat, len(orders)), 4)]

    def business_summary(self, f):
        first, last = self.days(f)
        length = (last - first).days + 1
        names = ('revenue', 'purchases', 'orders', 'average order value', 'buyers', 'repeat buyers', 'new buyers', 'repeat share')
        now, before = self.sales(first, last), self.sales(first - length * DAY, first - DAY)
        return [[name, a, b, None if a is None or not b else rounded(100 * rounded((a - b) / Decimal(b), 4), 1)] for name, a, b in zip(names, now, before)]

    def business_funnel(self, f):
        return self.branches(self.cohort(f))

    def business_daily_revenue(self, f):
        found = collections.defaultdict(Decimal)
        for e in self.in_days(f):
            found[e.day] += e.revenue
        return [[day.isoformat(), revenue] for day, revenue in sorted(found.items())]

    def business_daily_events(self, f):
        found = collections.Counter((e.day, KINDS.index(e.kind)) for e in self.in_days(f))
        return [[day.isoformat(), LABELS[KINDS[kind]], n] for (day, kind), n in sorted(found.items())]

    def business_top_categories(self, f):
        rows = self.by_group([e for e in self.in_days(f) if e.category != 'unknown'], lambda e: e.category, lambda r: (-r[3], -r[2], -r[1], r[0]), None)
        return [[name, revenue, purchases, views] for name, views, purchases, revenue in rows if purchases][:15]

    def business_top_brands(self, f):
        rows = self.by_group([e for e in self.in_days(f) if e.brand != 'unknown' and e.kind == 'purchase'], lambda e: e.brand, lambda r: (-r[2], -r[3], r[0]), 15)
        return [[name, revenue, purchases] for name, _, purchases, revenue in rows]

    def business_funnel_by_category(self, f):
        rows, cohort = [], self.cohort(f)
        for category in {v.entry for v, _ in cohort}:
            found = [(v, stage) for v, stage in cohort if v.entry == category]
            n = collections.Counter(v.bought() for v, _ in found)
            viewed = sum(v.viewed() for v, _ in found)
            left = [sum(v.viewed() and not v.bought() and (stage == 0 or self.stages[:stage] == ('view',)) == at_view for v, stage in found) for at_view in (True, False)]
            bought = [n['via cart'], n['without cart'], n['before their first view']]
            assert viewed == sum(bought) + sum(left)
            rows.append([category, viewed, *bought, *left, percent(sum(bought), viewed), n['without a view'], sum((v.revenue for v, _ in found), Decimal(0))])
        return sorted(rows, key=lambda r: (-r[1], r[0]))

    def business_daily_visitors(self, f):
        sessions, users = collections.defaultdict(set), collections.defaultdict(set)
        for e in self.in_days(f, category=False):
            sessions[e.day].add(e.session)
            users[e.day].add(e.user)
        return [[day.isoformat(), len(sessions[day]), len(users[day])] for day in sorted(sessions)]

    def business_rfm(self, f):
        first, last = self.days(f)
        of_user = collections.defaultdict(list)
        for e in self.events:
            if e.kind == 'purchase' and first <= e.day <= last:
                of_user[e.user].append(e)
        buyers = [((last - max(e.day for e in es)).days, len({e.session for e in es}), sum(e.revenue for e in es)) for es in of_user.values()]
        recencies, frequencies, spends = ([b[i] for b in buyers] for i in range(3))

        def quintile(values, value, best_is_low=False):
            worse = sum(v > value if best_is_low else v < value for v in values)
            return 1 + min(4, (5 * worse) // (len(values) - 1) if len(values) > 1 else 0)

        groups = collections.defaultdict(list)
        for b in buyers:
            r, fr, m = quintile(recencies, b[0], True), quintile(frequencies, b[1]), quintile(spends, b[2])
            groups[('champion' if min(r, fr, m) >= 4 else 'loyal' if r >= 3 and fr >= 4 else 'big spender' if r >= 4 and m >= 4 else 'recent' if r >= 4 else
                    'promising' if r == 3 else 'at risk' if max(fr, m) >= 4 else 'dormant')].append(b)
        rows = [[name, len(bs), sum(b[1] for b in bs), sum((b[2] for b in bs), Decimal(0)), rounded(Decimal(sum(b[0] for b in bs)) / len(bs), 1)] for name, bs in groups.items()]
        return sorted(rows, key=lambda r: (-r[1], r[0]))

    def business_segments(self, _):
        return self.segments

    # ---- functions without a tile
    def session_days(self):
        found = collections.defaultdict(list)
        for e in self.events:
            found[e.session, e.day].append(e)
        return list(found.values())

    def sessions_by_stage(self):
        """Sessions of a day that reached each stage: all times of each stage are tried."""
        counts = [0] * len(self.stages)
        for es in self.session_days():
            since = [dt.datetime.min]
            for n, stage in enumerate(self.stages):
                since = [e.time for e in es if e.kind == stage and any(e.time >= at for at in since)]
                counts[n] += bool(since)
        return counts

    def left_after(self):
        """Visits that bought nothing and have not reached the last stage."""
        found = collections.Counter(('none', *self.stages)[stage] for v, stage in self.visits if not any(e.kind == 'purchase' for e in v.events) and stage < len(self.stages))
        return [list(item) for item in sorted(found.items())]

    def abandoned_checkouts(self):
        sessions, values = 0, []
        for es in self.session_days():
            out = sorted((e for e in es if e.kind == 'checkout'), key=lambda e: (e.time, e.id))
            sessions += bool(out)
            left = {e.product: e.price or Decimal(0) for e in out if not any(p.time >= e.time for p in es if p.kind == 'purchase')}
            if left:
                values.append(left)
        return [sessions, len(values), sum(len(v) for v in values), sum((sum(v.values()) for v in values), Decimal(0))]

    def journeys_with_checkout(self):
        """Sessions and orders whose first eight steps, without views and repeats, have a checkout."""
        sessions = orders = 0
        for es in self.session_days():
            kinds = [e.kind for e in sorted(es, key=lambda e: (e.time, e.id)) if e.kind != 'view']
            steps = [k for n, k in enumerate(kinds) if n == 0 or kinds[n - 1] != k]
            if 'checkout' in steps[:8]:
                sessions, orders = sessions + 1, orders + ('purchase' in kinds)
        return [sessions, orders]
