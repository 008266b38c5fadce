"""What each tile of Products and Customers must show, counted from the list of events. One function per card, as in recount.py."""
import collections
import datetime as dt
import decimal
import statistics

import recount
from recount import DAY, percent, ratio, rounded, stamp

Decimal = decimal.Decimal
HOUR = dt.timedelta(hours=1)
PRICES = [('no price', None), ('under 10', 10), ('10 to 25', 25), ('25 to 50', 50), ('50 to 100', 100), ('100 to 250', 250), ('250 to 500', 500), ('500 to 1000', 1000), ('1000 and over', None)]
LENGTHS = [('one moment', 0), ('up to 1 minute', 1), ('1 to 5 minutes', 60000), ('5 to 15 minutes', 300000), ('15 to 30 minutes', 900000), ('30 to 60 minutes', 1800000), ('over 1 hour', 3600000)]


def groups(events, key):
    found = collections.defaultdict(list)
    for e in events:
        found[key(e)].append(e)
    return found


def number(events, kind):
    return sum(e.kind == kind for e in events)


def within(code, wanted):
    return wanted is None or (code + '.').startswith(wanted + '.')


def change(now, before):
    """In percent, as a rate of four digits times 100."""
    return None if now is None or not before else rounded(100 * rounded((now - before) / Decimal(before), 4), 1)


def start_of(day, grain):
    return day - day.weekday() * DAY if grain == 'week' else day.replace(day=1)


def next_start(start, grain):
    return start + 7 * DAY if grain == 'week' else (start + 32 * DAY).replace(day=1)


class Recount(recount.Recount):
    def span(self, f):
        """First and last day; everything without a period."""
        return self.start(f.get('period') or 'everything').date(), self.today

    def during(self, f):
        first, last = self.span(f)
        return [e for e in self.events if first <= e.day <= last]

    # ---- products
    def products_categories(self, _):
        return [[c] for c in sorted({e.category for e in self.events} | {e.level1 for e in self.events})]

    def products_brands(self, _):
        return [[b] for b in sorted({brand for _, brand in self.latest().values()})]

    def latest(self):
        """Category and brand of each product, of its latest event."""
        rank = lambda e: (e.time, e.category.encode(), e.brand.encode(), -1 if e.price is None else e.price)
        return {p: max(((rank(e), (e.category, e.brand)) for e in es))[1] for p, es in groups(self.events, lambda e: e.product).items()}

    def products_of(self, f):
        return {p: of for p, of in self.latest().items() if within(of[0], f.get('category')) and f.get('brand') in (None, of[1])}

    @staticmethod
    def funnel_row(events):
        views, carts, purchases = (number(events, kind) for kind in ('view', 'cart', 'purchase'))
        rate = ratio(purchases, views)
        return [views, carts, purchases, None if rate is None else rounded(100 * rate, 2), sum((e.revenue for e in events), Decimal(0))]

    def products_top(self, f):
        known, rows = self.products_of(f), []
        for product, es in groups(self.during(f), lambda e: e.product).items():
            row = self.funnel_row(es)
            if row[2] and product in known:
                rate = ratio(row[2], row[0])
                rows.append([str(product), *known[product], *row[:3], None if rate is None else 100 * rounded(rate, 4), row[4]])
        return sorted(rows, key=lambda r: (-r[7], -r[5], int(r[0])))[:15]

    def trending(self, key, known):
        """The newest hour so far and the one before, next to the same hours of the seven days before."""
        hour = (self.now - dt.timedelta(minutes=1)).replace(minute=0)
        passed = Decimal((self.now - hour) // dt.timedelta(minutes=1)) / 60
        spans = [[groups((e for e in self.events if hour - n * DAY - k * HOUR <= e.time < hour - n * DAY - (k - 1) * HOUR), key) for k in (0, 1)] for n in range(8)]
        earlier = [span for span in spans[1:] if span[0] or span[1]]
        rows = []
        for name in {name for part in spans[0] for name in part}:
            count = lambda part, kind: number(part.get(name, ()), kind)
            views = sum(count(part, 'view') for part in spans[0])
            if views < 10:
                continue
            usual = sum(count(a, 'view') * passed + count(b, 'view') for a, b in earlier) / Decimal(len(earlier)) if earlier else None
            times = (views + 5) / (usual + 5) if earlier else None
            rows.append((-times if earlier else 0, -views, name, [views, rounded(usual, 1), rounded(times, 2), sum(count(part, 'purchase') for part in spans[0])]))
        return [[name, *row] for _, _, name, row in sorted(rows) if known(name)][:15]

    def products_trending(self, f):
        known = self.products_of(f)
        return [[str(p), *known[p], *row] for p, *row in self.trending(lambda e: e.product, lambda p: p in known)]

    def products_trending_categories(self, f):
        return self.trending(lambda e: e.category, lambda c: within(c, f.get('category')))

    def products_category_funnel(self, f):
        found = groups([e for e in self.during(f) if within(e.category, f.get('category'))], lambda e: e.category)
        return sorted(([c, *self.funnel_row(es)] for c, es in found.items()), key=lambda r: (-r[1], r[0]))[:15]

    def products_brand_funnel(self, f):
        found = groups([e for e in self.during(f) if e.brand != 'unknown' and f.get('brand') in (None, e.brand)], lambda e: e.brand)
        return sorted(([b, *self.funnel_row(es)] for b, es in found.items()), key=lambda r: (-r[5], -r[3], -r[1], r[0]))[:15]

    def products_attention(self, f):
        every = self.during(f)
        sums = {c: (number(es, 'view'), number(es, 'purchase')) for c, es in groups(every, lambda e: e.category).items()}
        # As the function documents it, the quarter is among the categories that were viewed in the period.
        counted = sorted(v for v, _ in sums.values() if v > 0)
        if not counted:
            return []
        place = Decimal(3 * (len(counted) - 1)) / 4
        low = int(place)
        many = counted[low] + (counted[min(low + 1, len(counted) - 1)] - counted[low]) * (place - low)
        overall = ratio(number(every, 'purchase'), number(every, 'view'))
        rows = [(p - v * overall, c, [c, v, p, 100 * rounded(ratio(p, v), 4), 100 * rounded(overall, 4), rounded(v * overall - p, 1)])
                for c, (v, p) in sums.items() if v > 0 and v >= many and ratio(p, v) < overall]
        return [row for _, c, row in sorted(rows, key=lambda r: r[:2]) if within(c, f.get('category'))][:15]

    def products_price_bands(self, f):
        limits = [limit for _, limit in PRICES if limit]
        found = groups(self.during(f), lambda e: 0 if e.price is None else 1 + sum(e.price >= limit for limit in limits))
        rows = []
        for n, (name, _) in enumerate(PRICES):
            views, carts, purchases, _, revenue = self.funnel_row(found.get(n, []))
            rate = ratio(purchases, views)
            rows.append([name, views, carts, purchases, None if rate is None else 100 * rounded(rate, 4), revenue])
        return rows

    def products_price_changes(self, f):
        rows, of_product = [], groups(self.events, lambda e: e.product)
        for product, of in self.products_of(f).items():
            prices = {e.price for e in of_product[product] if e.price is not None}
            if len(prices) > 1:
                low, high = min(prices), max(prices)
                rows.append([str(product), *of, len(prices), low, high, percent(high - low, low)])
        return sorted(rows, key=lambda r: (-r[3], -(r[6] if r[6] is not None else Decimal(-1)), int(r[0])))[:15]

    def abandoned(self, events):
        """Of carts and of checkouts: sessions and days, those abandoned, products left and their prices."""
        rows = [[0, 0, 0, Decimal(0)] for _ in range(2)]
        for es in groups(events, lambda e: (e.session, e.day)).values():
            ordered = sorted(es, key=lambda e: (e.time, e.id))
            last = {e.product: e for e in ordered if e.kind in ('cart', 'remove_from_cart', 'purchase')}
            left = [[e for e in last.values() if e.kind == 'cart'],
                    list({e.product: e for e in ordered if e.kind == 'checkout' and not any(p.time >= e.time for p in es if p.kind == 'purchase')}.values())]
            for row, kind, products in zip(rows, ('cart', 'checkout'), left):
                row[0] += number(es, kind) > 0
                row[1] += bool(products)
                row[2] += len(products)
                row[3] += sum((e.price or Decimal(0) for e in products), Decimal(0))
        return rows

    def products_abandonment(self, f):
        return [[name, row[0], row[1], share_percent(row[1], row[0]), row[2], row[3]] for name, row in zip(('cart', 'checkout'), self.abandoned(self.during(f)))]

    def products_abandonment_daily(self, f):
        rows = []
        for day, es in sorted(groups(self.during(f), lambda e: e.day).items()):
            rows += [[day.isoformat(), name, share_percent(row[1], row[0])] for name, row in zip(('cart', 'checkout'), self.abandoned(es)) if row[0]]
        return rows

    # ---- customers
    def customers_categories(self, _):
        return [[c] for c in sorted({e.level1 for e in self.events})]

    def engaged(self, first, last):
        es = [e for e in self.events if first <= e.day <= last]
        visits = [v for v, _ in self.visits if first <= v.start.date() <= last]
        days, sessions = len({e.day for e in es}), len({(e.session, e.day) for e in es})
        seconds = sum(((v.end - v.start) / dt.timedelta(seconds=1) for v in visits), 0)
        mean = lambda a, b, digits: None if not b else rounded(Decimal(str(a)) / b, digits)
        return [mean(len(es), sessions, 2), mean(sessions, days, 1), mean(len({(e.user, e.day) for e in es}), days, 1), len(visits), mean(seconds, len(visits), 1)]

    def customers_engagement(self, f):
        first, last = self.span(f)
        now, before = self.engaged(first, last), self.engaged(first - (last - first + DAY), first - DAY)
        names = ('events per session', 'sessions per day', 'users per day', 'visits', 'average visit s')
        return [[name, a, b, change(a, b)] for name, a, b in zip(names, now, before)]

    def stages_of(self, es):
        """How many of the stages these events reach, each at or after the one before: all times of each stage are tried."""
        since = [dt.datetime.min]
        for n, stage in enumerate(self.stages):
            since = [e.time for e in es if e.kind == stage and any(e.time >= at for at in since)]
            if not since:
                return n
        return len(self.stages)

    def customers_funnel(self, f):
        sessions, best = [], collections.Counter()
        for (_, day), es in groups(self.during(f), lambda e: (e.session, e.day)).items():
            sessions.append(self.stages_of(es))
            for user in {e.user for e in es}:
                best[user, day] = max(best[user, day], sessions[-1])
        rows = []
        for n, stage in enumerate(self.stages):
            users, those = sum(x > n for x in best.values()), sum(x > n for x in sessions)
            if n == 0:
                first = users, those
            shares = [None if rate is None else 100 * rounded(rate, 4) for rate in (ratio(users, first[0]), ratio(those, first[1]))]
            name = (stage if n == 0 else f'{stage} after {self.stages[n - 1]}').replace('_', ' ')
            rows.append([name, users, shares[0], those, shares[1]])
        return rows

    def first_days(self, events=None):
        return {user: min(e.day for e in es) for user, es in groups(self.events if events is None else events, lambda e: e.user).items()}

    def customers_new_daily(self, f):
        first, rows = self.first_days(), []
        for day, es in sorted(groups(self.during(f), lambda e: e.day).items()):
            users = {e.user for e in es}
            new = sum(first[u] == day for u in users)
            rows += [[day.isoformat(), 'new', new], [day.isoformat(), 'returning', len(users) - new]]
        return rows

    def customers_new_weekly(self, f):
        first, rows = self.first_days(), []
        low, high = self.span(f)
        for week, es in sorted(groups(self.events, lambda e: start_of(e.day, 'week')).items()):
            if low - 6 * DAY <= week <= high:
                users = {e.user for e in es}
                new = sum(first[u] >= week for u in users)
                rows.append([week.isoformat(), len(users), new, len(users) - new, percent(len(users) - new, len(users))])
        return rows

    def cohorts(self, events, grain, periods, low, high):
        came = {user: {start_of(e.day, grain) for e in es} for user, es in groups(events, lambda e: e.user).items()}
        rows = []
        for start in sorted({min(starts) for starts in came.values()}):
            if start > high or next_start(start, grain) <= low:
                continue
            members = [starts for starts in came.values() if min(starts) == start]
            shares, then = [], start
            for _ in range(periods):
                then = next_start(then, grain)
                ended = self.now >= dt.datetime.combine(next_start(then, grain), dt.time())
                shares.append(share_percent(sum(then in starts for starts in members), len(members)) if ended else None)
            rows.append([start.isoformat(), len(members), *shares])
        return rows

    def bought(self):
        return [e for e in self.events if e.kind == 'purchase']

    def customers_retention_weekly(self, f):
        return self.cohorts(self.events, 'week', 8, *self.span(f))

    def customers_retention_monthly(self, _):
        return self.cohorts(self.events, 'month', 6, *self.span({}))

    def customers_repeat_weekly(self, f):
        return self.cohorts(self.bought(), 'week', 8, *self.span(f))

    def customers_repeat_monthly(self, _):
        return self.cohorts(self.bought(), 'month', 6, *self.span({}))

    def customers_rfm(self, f):
        return self.business_rfm({'period': f.get('period') or 'everything'})

    def customers_segments(self, _):
        found = collections.defaultdict(lambda: [0, 0, 0, Decimal(0)])
        for es in groups(self.events, lambda e: e.user).values():
            sessions, orders = len({e.session for e in es}), len({e.session for e in es if e.kind == 'purchase'})
            name = ('loyal buyer' if orders >= 3 else 'repeat buyer' if orders == 2 else 'one-time buyer' if orders else
                    'cart, no purchase' if number(es, 'cart') else 'returning visitor' if sessions > 1 else 'one-session visitor')
            found[name] = [a + b for a, b in zip(found[name], (1, sessions, orders, sum((e.revenue for e in es), Decimal(0))))]
        users = sum(row[0] for row in found.values())
        return sorted(([name, row[0], share_percent(row[0], users), *row[1:]] for name, row in found.items()), key=lambda r: (-r[1], r[0]))

    def customers_time_to_convert(self, f):
        first, last = self.span(f)
        rows = []
        for name, kind in (('view to cart', 'cart'), ('view to purchase', 'purchase')):
            now, before = [], []
            for v, _ in self.visits:
                views, others = ([e.time for e in v.events if e.kind == k] for k in ('view', kind))
                waits = [t - min(views) for t in others if views and t >= min(views)]
                if waits:
                    (now if first <= v.start.date() <= last else before if first - (last - first + DAY) <= v.start.date() < first else []).append(min(waits) / dt.timedelta(seconds=1))
            median = lambda waits: None if not waits else rounded(Decimal(str(statistics.median(waits))), 1)
            if now or before:
                rows.append([name, len(now), median(now), None if not now else rounded(Decimal(str(sum(now))) / len(now), 1), None if not now else rounded(share_of(now, Decimal('0.9')), 1), median(before)])
        return rows

    def customers_duration(self, f):
        first, last = self.span(f)
        wanted = f['category'].split('.')[0] if f.get('category') else None
        found = collections.defaultdict(list)
        for v, _ in self.visits:
            if first <= v.start.date() <= last and wanted in (None, v.entry):
                ms = (v.end - v.start) // dt.timedelta(milliseconds=1)
                found[max(n for n, (_, limit) in enumerate(LENGTHS) if ms >= limit)].append(v)
        rows = []
        for n, vs in sorted(found.items()):
            buying = sum(any(e.kind == 'purchase' for e in v.events) for v in vs)
            rows.append([LENGTHS[n][0], len(vs), buying, percent(buying, len(vs)), rounded(ratio(sum(len(v.events) for v in vs), len(vs)), 1)])
        return rows

    def customers_journeys(self, f):
        found = collections.defaultdict(list)
        for es in groups(self.during(f), lambda e: (e.session, e.day)).values():
            steps = sorted((e for e in es if e.kind != 'view'), key=lambda e: (e.time, e.id))
            names = [e.kind for n, e in enumerate(steps) if n == 0 or steps[n - 1].kind != e.kind]
            views = [e.time for e in es if e.kind == 'view']
            path = ['view'] if not steps or (views and min(views) < steps[0].time) else []
            path += names[:8] + (['...'] if len(names) > 8 else [])
            path += ['view'] if steps and views and max(views) > steps[-1].time else []
            found[' > '.join(path)].append(es)
        every = sum(map(len, found.values()))
        rows = [(-len(sessions), path, [path.replace('_', ' '), len(sessions), 100 * rounded(ratio(len(sessions), every), 4),
                                        sum(number(es, 'purchase') > 0 for es in sessions), sum((e.revenue for es in sessions for e in es), Decimal(0))]) for path, sessions in found.items()]
        return [row for _, _, row in sorted(rows, key=lambda r: r[:2])][:15]

    def steps(self, f, first, unit):
        wanted = f['category'].split('.')[0] if f.get('category') else None
        found = collections.defaultdict(list)
        for v, stage in self.visits:
            if first <= v.start.date() <= self.today and wanted in (None, v.entry):
                found[v.start.replace(minute=0, second=0, microsecond=0, **({'hour': 0} if unit == 'day' else {}))].append(stage)
        rows = []
        for at, reached in sorted(found.items()):
            for n in range(1, len(self.stages)):
                before, here = sum(x >= n for x in reached), sum(x > n for x in reached)
                if before:
                    rows.append([at.date().isoformat() if unit == 'day' else stamp(at), f'{self.stages[n - 1]} to {self.stages[n]}'.replace('_', ' '), 100 * rounded(ratio(here, before), 4)])
        return rows

    def customers_steps_daily(self, f):
        return self.steps(f, self.span(f)[0], 'day')

    def customers_steps_hourly(self, f):
        return self.steps(f, max(self.span(f)[0], self.today - 6 * DAY), 'hour')


def share_percent(part, whole):
    """As a rate of four digits times 100, with one digit."""
    rate = ratio(part, whole)
    return None if rate is None else rounded(100 * rounded(rate, 4), 1)


def share_of(values, share):
    values = sorted(values)
    place = share * (len(values) - 1)
    low = int(place)
    high = values[min(low + 1, len(values) - 1)]
    return Decimal(str(values[low])) + (Decimal(str(high)) - Decimal(str(values[low]))) * (place - low)
