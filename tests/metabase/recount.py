"""What each tile must show, counted from the list of events. One function per card; it takes the values of the filters by slug."""
import collections
import datetime as dt
import decimal
import hashlib

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


def pseudonym(salt, kind, value):
    return hashlib.sha256(f'{salt}{kind}:{value}'.encode()).hexdigest()[:20]


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
        first, last = self.start(f.get('period') or 'everything').date(), self.today
        return max(first, f.get('from') or first), min(last, f.get('to') or last)

    def in_days(self, f, category=True):
        first, last = self.days(f)
        wanted = f.get('category') if category else None
        brand = f.get('brand') if category else None
        return [e for e in self.events if first <= e.day <= last and (wanted is None or e.category == wanted or e.category.startswith(wanted + '.'))
                and brand in (None, e.brand)]

    def cohort(self, f):
        first, last = self.days(f)
        wanted = f['category'].split('.')[0] if f.get('category') else None
        return [(v, stage) for v, stage in self.visits if first <= v.start.date() <= last and wanted in (None, v.entry)]

    # ---- what clicks open
    def branch(self, v, stage):
        if v.bought():
            return 'bought ' + v.bought()
        return 'neither viewed nor bought' if not v.viewed() else 'left after ' + self.stages[stage - 1].replace('_', ' ') if stage else 'left before the first stage'

    def visits_of(self, f, bar, category, salt):
        first, last = self.days(f)
        found = [(v, self.branch(v, stage)) for v, stage in self.visits if first <= v.start.date() <= last and (category is None or v.entry == category.split('.')[0])]
        found = [(v, branch) for v, branch in found if bar in (None, branch) or bar == 'viewed' and v.viewed()]
        found.sort(key=lambda pair: pair[0].events[0].session)
        found.sort(key=lambda pair: pair[0].start, reverse=True)
        rows = [[v.start.strftime('%Y-%m-%d %H:%M:%S.%f'), pseudonym(salt, 'session', v.events[0].session), branch, sum(e.kind == 'view' for e in v.events),
                 sum(e.kind == 'purchase' for e in v.events), v.revenue] for v, branch in found[:200]]
        return sorted(sorted(rows, key=lambda r: r[1]), key=lambda r: r[0], reverse=True)

    def timeline(self, session, visit, salt):
        start = dt.datetime.strptime(visit, '%Y-%m-%d %H:%M:%S.%f')
        own = sorted((e for e in self.events if pseudonym(salt, 'session', e.session) == session and abs(e.day - start.date()) <= 7 * DAY), key=lambda e: (e.time, e.id))
        rows, number, last, now = [], 1, None, None
        for n, e in enumerate(own, 1):
            if last and (e.day != last.day or e.time - last.time > dt.timedelta(minutes=30)):
                number += 1
            now = number if e.time == start else now
            rows.append([n, e.time.strftime('%Y-%m-%d %H:%M:%S'), e.kind, e.product, e.category, e.brand, e.price, None if last is None else Decimal((e.time - last.time) // dt.timedelta(seconds=1)), number])
            last = e
        return [[*row, row[8] == now] for row in rows[:1000]]

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

    def business_brands(self, _):
        rows = self.by_group(self.events, lambda e: e.brand, lambda r: (-r[3], -r[1], r[0]), 1000)
        return [[r[0]] for r in rows]

    def business_hours(self, f):
        rows = []
        found = self.in_days(f, category=False)
        for hour in range(24):
            es = [e for e in found if e.time.hour == hour]
            views, purchases = (sum(e.kind == kind for e in es) for kind in ('view', 'purchase'))
            rate = None if not views else 100 * rounded(ratio(purchases, views), 4)
            rows.append([f'{hour:02}:00', purchases, len(es), sum((e.revenue for e in es), Decimal(0)), rate])
        return rows

    def business_weekdays(self, f):
        rows = []
        for name, weekend in (('weekday', False), ('weekend', True)):
            es = [e for e in self.in_days(f, category=False) if (e.day.weekday() >= 5) == weekend]
            days = len({e.day for e in es})
            if days:
                views, purchases = (sum(e.kind == kind for e in es) for kind in ('view', 'purchase'))
                rows.append([name, days, rounded(ratio(len(es), days), 1), rounded(ratio(purchases, days), 1), rounded(ratio(sum(e.revenue for e in es), days), 2),
                             None if not views else 100 * rounded(ratio(purchases, views), 4)])
        return rows

    # ---- buyers, paths and baskets. Sessions and users within a UTC day; functions take the days, so that other tests use them too.
    BANDS = ((10, 'under 10'), (25, '10 to 25'), (50, '25 to 50'), (100, '50 to 100'), (250, '100 to 250'), (500, '250 to 500'), (1000, '500 to 1000'))

    def own(self, first, last, key):
        """The events of each session or user and day, in their order."""
        found = collections.defaultdict(list)
        for e in sorted(self.events, key=lambda e: (e.time, e.id)):
            if first <= e.day <= last:
                found[key(e), e.day].append(e)
        return found

    def lift(self, first, last, dimension, least):
        def values(es):
            views = [e for e in es if e.kind == 'view']
            if dimension == 'hour':
                return {views[0].time.strftime('%H:00')}
            return {{'category': e.category, 'category1': e.level1, 'brand': e.brand,
                     'price band': 'no price' if e.price is None else next((name for limit, name in self.BANDS if e.price < limit), '1000 and over')}[dimension] for e in views}
        buying, leaving, total = collections.Counter(), collections.Counter(), [0, 0]
        for es in self.own(first, last, lambda e: e.session).values():
            if any(e.kind == 'view' for e in es):
                buys = any(e.kind == 'purchase' for e in es)
                total[not buys] += 1
                (buying if buys else leaving).update(values(es))
        rows = []
        for value in {*buying, *leaving}:
            b, l = buying[value], leaving[value]
            if b + l >= least:
                rows.append([value, b, l, rounded(ratio(b, total[0]), 4), rounded(ratio(l, total[1]), 4), rounded(ratio(b * total[1], l * total[0]), 2)])
        return sorted(rows, key=lambda r: (r[5] is None, -(r[5] or 0), -r[1], r[0]))

    def about(self, product):
        """Brand and category of the latest event of a product; of several, the greatest values."""
        e = max((e for e in self.events if e.product == product), key=lambda e: (e.time, e.category, e.brand, -1 if e.price is None else e.price))
        return e.brand, e.category

    def paths(self, first, last, how_many, product=None):
        per_day = collections.defaultdict(collections.Counter)
        for (_, day), es in self.own(first, last, lambda e: e.session).items():
            views = [e.product for e in es if e.kind == 'view']
            steps = [p for n, p in enumerate(views) if n == 0 or views[n - 1] != p][:100]
            per_day[day, 'viewed next'].update(set(zip(steps, steps[1:])))
            seen, bought = [], []
            for e in sorted(es, key=lambda e: (e.time, e.product)):
                if e.kind == 'view' and e.product not in [p for p, _ in seen]:
                    seen.append((e.product, e.time))
                if e.kind == 'purchase' and e.product not in bought:
                    bought.append(e.product)
            per_day[day, 'bought'].update({(p, e.product) for p, at in seen[:100] for e in es if e.kind == 'purchase' and e.product in bought[:20] and e.product != p and e.time >= at})
        total = collections.Counter()
        for (_, step), pairs in per_day.items():
            for (a, b), n in sorted(((pair, n) for pair, n in pairs.items() if n > 1), key=lambda item: (-item[1], item[0]))[:1000]:
                total[a, step, b] += n
        rows = sorted(((a, step, b, n) for (a, step, b), n in total.items() if product in (None, a)), key=lambda r: (-r[3], r[:3]))[:how_many]
        return [[a, self.about(a)[0], step, b, *self.about(b), n] for a, step, b, n in rows]

    def together(self, first, last, how_many, least=2):
        pairs, single, orders = collections.Counter(), collections.Counter(), 0
        for es in self.own(first, last, lambda e: e.session).values():
            products = list(dict.fromkeys(e.product for e in sorted(es, key=lambda e: (e.time, e.product)) if e.kind == 'purchase'))
            orders += bool(products)
            single.update(products)
            pairs.update((a, b) for a in products[:20] for b in products[:20] if a < b)
        rows = sorted(((n, a, b) for (a, b), n in pairs.items() if n >= least), key=lambda r: (-r[0], r[1:]))[:how_many]
        return [[a, self.about(a)[0], b, self.about(b)[0], n, single[a], single[b], rounded(ratio(n, orders), 6), rounded(ratio(n, single[a]), 4), rounded(ratio(n, single[b]), 4),
                 rounded(Decimal(n * orders) / (single[a] * single[b]), 2)] for n, a, b in rows]

    def next_days(self, first, last, within):
        did = {}
        for (user, day), es in self.own(dt.date.min, dt.date.max, lambda e: e.user).items():
            kinds = {e.kind for e in es}
            did.setdefault(user, {})[day] = 'bought' if 'purchase' in kinds else 'cart' if kinds & {'cart', 'checkout'} else 'viewed'
        newest = (self.now - DAY).date() if self.now else first  # the newest day that is over
        rows = []
        for outcome in ('viewed', 'cart', 'bought'):
            users, then, days = 0, collections.Counter(), 0
            for own in did.values():
                for day in own:
                    if own[day] == outcome and first <= day <= min(last, newest - within * DAY):
                        users += 1
                        after = min((d for d in own if d > day), default=None)
                        if after and (after - day).days <= within:
                            then[own[after]] += 1
                            days += (after - day).days
            if users:
                n = sum(then.values())
                rows.append([outcome, users, n, rounded(ratio(n, users), 4), then['viewed'], then['cart'], then['bought'], rounded(ratio(then['bought'], users), 4), rounded(ratio(days, n), 1)])
        return rows

    def business_lift(self, f):
        return [[v, b, l, None if x is None else 100 * x, None if y is None else 100 * y, lift] for v, b, l, x, y, lift in self.lift(*self.days(f), 'category', 100)][:15]

    def business_lift_prices(self, f):
        return [[r[0], r[1], r[2], r[5]] for r in self.lift(*self.days(f), 'price band', 1) if r[5] is not None]

    def business_paths(self, f):
        return [[str(r[0]), *r[1:3], str(r[3]), *r[4:]] for r in self.paths(*self.days(f), 15)]

    def business_bought_together(self, f):
        return [[str(r[0]), r[1], str(r[2]), *r[3:5], rounded(100 * r[8], 1), rounded(100 * r[9], 1), r[10]] for r in self.together(*self.days(f), 15)]

    def business_after_leaving(self, f):
        return [[*r[:3], rounded(100 * r[3], 1), *r[4:7], r[8]] for r in self.next_days(*self.days(f), 7)]

    # ---- health; see HEALTH in run
    def health_segments(self, _):
        return self.segments

    def health_state(self, _):
        many_unknown = self.share(lambda e: e.category == 'unknown') > Decimal('0.6') and sum(e.day == self.today for e in self.events) >= 100
        return [['measures beyond their threshold', 3 + many_unknown], ['comparisons of layers that differ or are overdue', 1],
                ['partitions whose counts do not balance', 1], ['segments that are not complete', 0], ['events that are stored and not yet in the reports', 0], ['alerts that are open', 1]]

    def health_alerts(self, _):
        return [['traffic_fell', 'open', '2019-10-05T11:00:00+00:00', None, Decimal('12'), Decimal('30.5'), None],
                ['conversion_fell', 'closed', '2019-10-06T12:00:00+00:00', '2019-10-06T13:30:00+00:00', Decimal('0.0123'), Decimal('0.02'), 'recovered']]

    def health_proof(self, _):
        n = len(self.events)
        return [['ecommerce_raw_events', 0, n + 3, n, 2, 1, 0], ['ecommerce_raw_events', 1, 9, 2, 3, 3, 1]]

    def health_reconciliation(self, _):
        days = len({e.day for e in self.events})
        return [[name, days, days - (name == 'day events'), 0, int(name == 'day events'), 0] if name != 'partition events' else [name, 2, 0, 0, 0, 2]
                for name in ('day events', 'day revenue', 'partition events', 'visit events', 'visit revenue')]

    def health_differences(self, _):
        first = min(e.day for e in self.events)
        n = sum(e.day == first for e in self.events)
        return [['day events', first.isoformat(), n, n - 1, -1, 'differs', 'the stream has counted less than raw.events has: results were lost, or replaced '
                 'by those of a part of the input']]

    def share(self, has):
        """Of the events of the newest day."""
        newest = [e for e in self.events if e.day == self.today]
        return rounded(ratio(sum(map(has, newest)), len(newest)), 4)

    def quality(self, names):
        """The value of each measure. Those that are not here are 0."""
        rows_in = len(self.events) + 12
        known = {'unbalanced_partitions': 1, 'dead_letters_missing': 4, 'reconciliation_differences': 1, 'late_share': None,
                 'duplicate_share': rounded(ratio(5, rows_in), 4), 'reject_share': rounded(ratio(4, rows_in), 4),
                 'share_without_category': self.share(lambda e: e.category == 'unknown'), 'share_without_brand': self.share(lambda e: e.brand == 'unknown'),
                 'share_without_price': self.share(lambda e: e.price is None), 'share_without_session': self.share(lambda e: not e.row[8]),
                 'share_zero_price': self.share(lambda e: e.price == 0)}
        return {name: known.get(name[1], 0) for name in names}

    def health_quality_days(self, f):
        lacks = {'without category': lambda e: e.category == 'unknown', 'without brand': lambda e: e.brand == 'unknown', 'without price': lambda e: e.price is None,
                 'without session': lambda e: not e.row[8], 'price of 0': lambda e: e.price == 0}
        days, rows_in, rows = collections.defaultdict(list), len(self.events) + 12, []
        for e in self.events:
            days[e.day].append(e)
        for day, es in sorted(days.items()):
            shares = {name: ratio(sum(map(has, es)), len(es)) for name, has in lacks.items()}
            if day == self.today:
                shares.update({'refused rows': ratio(4, rows_in), 'duplicates': ratio(5, rows_in)})
            rows += [[day.isoformat(), name, rounded(100 * rounded(share, 4), 2)] for name, share in sorted(shares.items())]
        return [r for r in rows if r[0] >= self.start(f.get('period') or 'everything').date().isoformat()]

    def health_daily_events(self, f):
        found = collections.Counter(e.day for e in self.events if e.day >= self.start(f.get('period') or 'everything').date())
        return [[day.isoformat(), n] for day, n in sorted(found.items())]

    def health_segment_days(self, f):
        rows = [['test.csv', 1, '2019-10-06', 37, 30, 3, 1, 1, 2, Decimal(20), 7, 2, 7], ['test.csv', 1, '2019-10-05', 60, 50, 4, 2, 1, 3, Decimal('30.5'), 9, 2, 8]]
        return [r for r in rows if r[2] >= self.start(f.get('period') or 'everything').date().isoformat()]

    def health_segment_months(self, _):
        return [['test.csv', 1, '2019-10', 97, 80, 7, 3, 2, 5, Decimal('50.5'), 15, 4, 13]]

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
