"""A strict fake of the part of Metabase's REST API that provisioning uses.

It refuses what the real one refuses (closed schemas: unknown or missing keys are 400, a second set-up is 403, cache_ttl
is 402), and also what the real one would take and then silently not do: a variable without its tag, a tag that no
parameter mirrors, a mapping to a variable that the card does not have, a filter that maps to nothing, tiles that overlap.
A database is connected to, by psql, before it is stored. As newer servers do, it gives queries back in another form than
they came in, and never a password.

Clicks and links are checked in the same way: they must open a question that is there, and set variables that it has.

question() says what SQL a tile would run for given values of the dashboard's filters, following the stored mappings and
nothing else; so a filter that is not wired through has no effect here either.
"""
import http.server
import json
import re
import subprocess
import threading
import urllib.parse
import uuid

GRID = 24


class No(Exception):
    def __init__(self, status, reason):
        super().__init__(reason)
        self.status, self.reason = status, reason


def need(good, reason, status=400):
    if not good:
        raise No(status, reason)


# ---- kinds of values
def text(v): return isinstance(v, str)
def filled(v): return isinstance(v, str) and v.strip() != ''
def flag(v): return isinstance(v, bool)
def whole(v): return isinstance(v, int) and not isinstance(v, bool)
def natural(v): return whole(v) and v >= 0
def positive(v): return whole(v) and v > 0
def mapping(v): return isinstance(v, dict)
def listing(v): return isinstance(v, list)
def null_or(kind): return lambda v: v is None or kind(v)
def is_uuid(v): return text(v) and re.fullmatch(r'[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}', v) is not None
def any_of(*values): return lambda v: v in values


def closed(value, where, required, optional=None):
    """All of `required`, perhaps some of `optional`, nothing else, each of its kind."""
    need(mapping(value), f'{where}: an object is needed')
    kinds = {**required, **(optional or {})}
    need(not set(value) - set(kinds), f'{where}: unknown keys {sorted(set(value) - set(kinds))}')
    need(not set(required) - set(value), f'{where}: missing keys {sorted(set(required) - set(value))}')
    for key, item in value.items():
        need(kinds[key](item), f'{where}: {key} cannot be {item!r}')


CARD_NEEDS = {'name': filled, 'dataset_query': mapping, 'display': filled, 'visualization_settings': mapping}
CARD_MAY = {'type': any_of('question', 'model', 'metric'), 'description': null_or(filled), 'cache_ttl': null_or(positive),
            'collection_id': null_or(positive), 'collection_position': null_or(positive), 'dashboard_id': null_or(positive),
            'parameters': listing, 'parameter_mappings': listing, 'result_metadata': null_or(listing), 'entity_id': null_or(filled)}
DASHBOARD_MAY = {'description': null_or(text), 'parameters': listing, 'cache_ttl': null_or(positive),
                 'collection_id': null_or(positive), 'collection_position': null_or(positive)}
DASHBOARD_PUT = {'name': filled, **DASHBOARD_MAY, 'dashcards': listing, 'tabs': listing, 'width': any_of('fixed', 'full'),
                 'auto_apply_filters': flag, 'enable_embedding': flag, 'embedding_params': null_or(mapping), 'archived': flag}
PARAMETER_MAY = {'sectionId': filled, 'default': lambda v: v is not None, 'isMultiSelect': flag, 'values_query_type': any_of('list', 'search', 'none'),
                 'values_source_type': any_of('static-list', 'card'), 'values_source_config': mapping}


class Fake:
    def __init__(self):
        self.token, self.user, self.session = str(uuid.uuid4()), None, None
        self.rows = {'database': {}, 'collection': {}, 'card': {}, 'dashboard': {}}
        self.number, self.log, self.unhealthy_answers = 0, [], 0

    # ---- routes; each gets the body and the numbers in the path
    def route(self, method, path, session, body):
        self.log.append((method, path))
        for verb, pattern, public, action in self.ROUTES:
            match = re.fullmatch(pattern, path)
            if match and verb == method:
                need(public or (session and session == self.session), 'Unauthenticated', 401)
                return action(self, body, *match.groups())
        raise No(404, 'API endpoint does not exist.')

    @property
    def writes(self):
        return [f'{m} {p}' for m, p in self.log if m != 'GET' and p != '/api/session']

    def health(self, _):
        if self.unhealthy_answers > 0:
            self.unhealthy_answers -= 1
            raise No(503, 'initializing')
        return {'status': 'ok'}

    def properties(self, _):
        return {'has-user-setup': self.user is not None, 'setup-token': None if self.user else self.token}

    def setup(self, body):
        need(self.user is None, 'The /api/setup route can only be used to create the first user, however a user currently exists.', 403)
        closed(body, 'setup', {'token': filled, 'user': mapping, 'prefs': mapping}, {'database': mapping})
        closed(body['user'], 'user', {'email': filled, 'password': filled}, {'first_name': null_or(text), 'last_name': null_or(text)})
        closed(body['prefs'], 'prefs', {'site_name': filled}, {'site_locale': text, 'allow_tracking': flag})
        need(body['token'] == self.token, 'Token does not match the setup token.')
        need(len(body['user']['password']) >= 8, 'password is too common.')
        self.user = body['user']
        return self.sign()

    def sign(self):
        self.session = str(uuid.uuid4())
        return {'id': self.session}

    def login(self, body):
        closed(body, 'session', {'username': filled, 'password': filled})
        need(self.user and (body['username'], body['password']) == (self.user['email'], self.user['password']), 'did not match stored password', 401)
        return self.sign()

    def list_databases(self, _):
        rows = [{'id': row['id'], 'name': row['name'], 'engine': row['engine']} for row in self.rows['database'].values()]
        return {'data': rows, 'total': len(rows)}

    def get_database(self, _, number):
        row = self.find('database', number)
        return {**row, 'details': {**row['details'], 'password': '**MetabasePass**'}}

    def check_database(self, body):
        need('cache_ttl' not in body, 'Cache TTL is a paid feature', 402)
        closed(body, 'database', {'name': filled, 'engine': any_of('postgres'), 'details': mapping},
               {'is_full_sync': flag, 'is_on_demand': flag, 'auto_run_queries': flag})
        closed(body['details'], 'details', {'host': filled, 'port': positive, 'dbname': filled, 'user': filled},
               {'password': text, 'ssl': flag, 'ssl-mode': any_of('verify-full'), 'ssl-root-cert-options': any_of('local'),
                'ssl-root-cert-path': filled, 'schema-filters-type': any_of('inclusion', 'exclusion', 'all'), 'schema-filters-patterns': filled})
        done = psql(body['details'], 'SELECT 1')
        need(done.returncode == 0, json.dumps({'message': done.stderr.strip()}))

    def post_database(self, body):
        self.check_database(body)
        return self.store('database', body)

    def put_database(self, body, number):
        row = self.find('database', number)
        self.check_database({**{k: row[k] for k in ('name', 'engine', 'details')}, **body})
        row.update(body)
        return row

    def list_collections(self, _):
        return [{'id': 'root', 'name': 'Our analytics', 'is_personal': False},
                {'id': 9999, 'name': 'Funnel', 'personal_owner_id': 1, 'location': '/'}, *self.rows['collection'].values()]

    def post_collection(self, body):
        closed(body, 'collection', {'name': filled}, {'description': null_or(filled), 'parent_id': null_or(positive), 'namespace': null_or(filled),
                                                      'authority_level': null_or(text)})
        return self.store('collection', {'location': '/', 'archived': False, **body})

    def collection_items(self, _, number):
        self.find('collection', number)
        found = [{'id': row['id'], 'name': row['name'], 'model': model} for model in ('card', 'dashboard')
                 for row in self.rows[model].values() if row.get('collection_id') == int(number) and not row['archived']]
        return {'data': found, 'total': len(found), 'models': ['card', 'dashboard']}

    def get_card(self, _, number):
        card = self.find('card', number)
        native = card['dataset_query']['native']
        stage = {'lib/type': 'mbql.stage/native', 'native': native['query'].replace('\n', '\r\n'), 'template-tags': native.get('template-tags', {})}
        return {**card, 'dataset_query': {'lib/type': 'mbql/query', 'database': card['dataset_query']['database'], 'stages': [stage]}}

    def post_card(self, body):
        closed(body, 'card', CARD_NEEDS, CARD_MAY)
        self.check_card(body)
        return self.store('card', {'archived': False, **body})

    def put_card(self, body, number):
        card = self.find('card', number)
        closed(body, 'card', {}, {**CARD_NEEDS, **CARD_MAY, 'archived': flag})
        self.check_card({**card, **body})
        card.update(body)
        return card

    def check_card(self, card):
        need(card.get('cache_ttl') is None, 'cache_ttl is a paid feature', 402)
        need(card.get('collection_id') in (None, *self.rows['collection']), 'no such collection')
        query = card['dataset_query']
        closed(query, 'dataset_query', {'database': positive, 'type': any_of('native'), 'native': mapping})
        need(query['database'] in self.rows['database'], 'no such database')
        closed(query['native'], 'native', {'query': filled}, {'template-tags': mapping})
        tags = query['native'].get('template-tags', {})
        used = set(re.findall(r'{{\s*([^}\s]+)\s*}}', query['native']['query']))
        need(used == set(tags), f"the query of {card['name']!r} has variables {sorted(used)} and tags {sorted(tags)}")
        for key, tag in tags.items():
            closed(tag, f'tag {key}', {'id': is_uuid, 'name': any_of(key), 'display-name': filled, 'type': any_of('text', 'number', 'date', 'boolean')},
                   {'default': lambda v: v is not None, 'required': flag})
        mirrored = set()
        for p in card.get('parameters', []):
            closed(p, 'parameter', {'id': filled, 'type': filled, 'target': listing, 'name': filled, 'slug': filled}, {'default': lambda v: v is not None})
            tag = tag_of(p['target'])
            need(tag in tags and tags[tag]['id'] == p['id'], f"parameter {p['slug']}: has not the id of the tag {tag!r}")
            need(p['type'] == ('date/single' if tags[tag]['type'] == 'date' else 'string/='), f"parameter {p['slug']}: {p['type']} for a {tags[tag]['type']} variable")
            mirrored.add(tag)
        need(mirrored == set(tags), f'tags {sorted(set(tags) - mirrored)} have no parameter')
        for column, look in card['visualization_settings'].get('column_settings', {}).items():
            if look.get('view_as') == 'link':
                closed(look, f'link of {column}', {'view_as': any_of('link'), 'link_url': filled}, {'link_text': filled})
                self.check_link(look['link_url'])

    def check_link(self, url):
        """An address of a question, with values for variables that it has."""
        path, _, query = url.partition('?')
        match = re.fullmatch(r'/question/(\d+)', path)
        need(match and int(match[1]) in self.rows['card'], f'{url} is not the address of a question')
        tags = self.rows['card'][int(match[1])]['dataset_query']['native'].get('template-tags', {})
        for pair in query.split('&'):
            need(re.fullmatch(r'\w+={{\w+}}', pair) and pair.split('=')[0] in tags, f'{pair} of {url} sets no variable of the question')

    def post_dashboard(self, body):
        closed(body, 'dashboard', {'name': filled}, DASHBOARD_MAY)
        need(body.get('cache_ttl') is None, 'cache_ttl is a paid feature', 402)
        need(body.get('collection_id') in (None, *self.rows['collection']), 'no such collection')
        return self.store('dashboard', {'archived': False, 'parameters': [], 'dashcards': [], 'tabs': [], **body})

    def get_dashboard(self, _, number):
        return self.find('dashboard', number)

    def put_dashboard(self, body, number):
        row = self.find('dashboard', number)
        closed(body, 'dashboard', {}, DASHBOARD_PUT)
        need(body.get('cache_ttl') is None, 'cache_ttl is a paid feature', 402)
        wanted = {**row, **body}
        self.check_parameters(wanted['parameters'])
        self.check_dashcards(wanted, {tile['id'] for tile in row['dashcards']})
        row.update(body)
        row['dashcards'] = [{**tile, 'id': tile['id'] if tile['id'] > 0 else self.next_number()} for tile in wanted['dashcards']]
        return row

    def check_parameters(self, parameters):
        need(len({p.get('id') for p in parameters}) == len(parameters), 'parameter ids must differ')
        need(len({p.get('slug') for p in parameters}) == len(parameters), 'parameter slugs must differ')
        for p in parameters:
            closed(p, 'parameter', {'id': filled, 'type': any_of('string/=', 'date/single'), 'name': filled, 'slug': filled}, PARAMETER_MAY)
            need(('values_source_type' in p) == ('values_source_config' in p), f"parameter {p['slug']}: source type and config go together")
            source = p.get('values_source_config', {})
            if p.get('values_source_type') == 'static-list':
                closed(source, 'values_source_config', {'values': listing})
                need(all(v in source['values'] for v in p.get('default', [])), f"parameter {p['slug']}: default is not a choice")
            if p.get('values_source_type') == 'card':
                closed(source, 'values_source_config', {'card_id': positive, 'value_field': listing})
                need(source['card_id'] in self.rows['card'], f"parameter {p['slug']}: no card {source['card_id']}")

    def check_dashcards(self, dashboard, known):
        tiles, taken, used = dashboard['dashcards'], {}, set()
        need(len({tile.get('id') for tile in tiles}) == len(tiles), 'dashcard ids must differ')
        for tile in tiles:
            closed(tile, 'dashcard', {'id': whole, 'row': natural, 'col': natural, 'size_x': positive, 'size_y': positive},
                   {'card_id': null_or(positive), 'series': listing, 'visualization_settings': mapping, 'parameter_mappings': listing,
                    'dashboard_tab_id': null_or(whole), 'action_id': null_or(positive), 'inline_parameters': null_or(listing)})
            need(tile['id'] < 0 or tile['id'] in known, f"no dashcard {tile['id']}")
            need(tile['col'] + tile['size_x'] <= GRID, f"dashcard {tile['id']} is wider than the grid")
            for cell in [(tile['row'] + y, tile['col'] + x) for y in range(tile['size_y']) for x in range(tile['size_x'])]:
                need(cell not in taken, f"dashcards {tile['id']} and {taken.get(cell)} overlap")
                taken[cell] = tile['id']
            if tile.get('card_id') is None:
                need(filled(tile.get('visualization_settings', {}).get('text')) and 'virtual_card' in tile['visualization_settings'], 'a dashcard without card needs a text')
            else:
                used |= self.check_mappings(tile, dashboard)
        need(used == {p['id'] for p in dashboard['parameters']}, 'a filter maps to no tile')

    def clicks(self, tile):
        """The click behaviors of a tile: of the tile itself (key None), and of columns of its table."""
        settings = tile['visualization_settings']
        found = {column: look['click_behavior'] for column, look in settings.get('column_settings', {}).items() if 'click_behavior' in look}
        return {**found, **({None: settings['click_behavior']} if 'click_behavior' in settings else {})}

    def check_click(self, click, dashboard):
        closed(click, 'click_behavior', {'type': any_of('link'), 'linkType': any_of('question'), 'targetId': positive}, {'parameterMapping': mapping})
        need(click['targetId'] in self.rows['card'], f"a click opens no card: {click['targetId']}")
        tags = self.rows['card'][click['targetId']]['dataset_query']['native'].get('template-tags', {})
        for key, entry in click.get('parameterMapping', {}).items():
            closed(entry, 'parameterMapping', {'id': any_of(key), 'source': mapping, 'target': mapping})
            closed(entry['source'], 'source', {'type': any_of('column', 'parameter'), 'id': filled, 'name': filled})
            closed(entry['target'], 'target', {'type': any_of('variable'), 'id': any_of(*tags)})
            need(tags[entry['target']['id']]['id'] == key, f"a click maps the tag {key}, which is not {entry['target']['id']}")
            known = {p['id'] for p in dashboard['parameters']}
            need(entry['source']['type'] == 'column' or entry['source']['id'] in known, f"a click takes no parameter of the dashboard: {entry['source']}")

    def follow(self, dashboard, click, row, values):
        """The question that a click opens, and the values of its variables. row: the clicked one by column; values: of the dashboard's filters by slug."""
        slugs = {p['id']: p['slug'] for p in dashboard['parameters']}
        given = {}
        for entry in click['parameterMapping'].values():
            source = entry['source']
            value = row[source['id']] if source['type'] == 'column' else values.get(slugs[source['id']])
            if value is not None:
                given[entry['target']['id']] = value
        return click['targetId'], given

    def link(self, card, column, row):
        """The question that a link in a column of a card opens, and the values of its variables."""
        look = self.rows['card'][card]['visualization_settings']['column_settings'][json.dumps(['name', column], separators=(',', ':'))]
        url = re.sub(r'{{(\w+)}}', lambda found: urllib.parse.quote(str(row[found[1]]), safe=''), look['link_url'])
        parts = urllib.parse.urlsplit(url)
        return int(parts.path.split('/')[2]), dict(urllib.parse.parse_qsl(parts.query))

    def check_mappings(self, tile, dashboard):
        need(tile['card_id'] in self.rows['card'] and not self.rows['card'][tile['card_id']]['archived'], f"no card {tile['card_id']}")
        for click in self.clicks(tile).values():
            self.check_click(click, dashboard)
        tags = self.rows['card'][tile['card_id']]['dataset_query']['native'].get('template-tags', {})
        parameters, mapped = {p['id']: p for p in dashboard['parameters']}, set()
        for m in tile.get('parameter_mappings', []):
            closed(m, 'parameter_mapping', {'parameter_id': filled, 'card_id': any_of(tile['card_id']), 'target': listing})
            need(m['parameter_id'] in parameters, f"no parameter {m['parameter_id']}")
            tag = tag_of(m['target'])
            need(tag in tags, f"card {tile['card_id']} has no variable {tag!r}")
            date = parameters[m['parameter_id']]['type'].startswith('date/')
            need(date == (tags[tag]['type'] == 'date'), f'parameter and variable {tag!r} are of different types')
            mapped.add(tag)
        need(mapped == set(tags), f"variables {sorted(set(tags) - mapped)} of card {tile['card_id']} have no filter")
        return {m['parameter_id'] for m in tile.get('parameter_mappings', [])}

    # ---- state
    def next_number(self):
        self.number += 1
        return self.number

    def store(self, table, row):
        row = {**row, 'id': self.next_number()}
        self.rows[table][row['id']] = row
        return row

    def find(self, table, number):
        need(int(number) in self.rows[table], 'Not found.', 404)
        return self.rows[table][int(number)]

    def question(self, dashboard, tile, values):
        """The SQL of a tile for values of the dashboard's filters by slug; a filter that is not among them is unset."""
        slugs = {p['id']: p['slug'] for p in dashboard['parameters']}
        return self.query(tile['card_id'], {tag_of(m['target']): values.get(slugs[m['parameter_id']]) for m in tile['parameter_mappings']})

    def query(self, card, values):
        """The SQL that a card runs for values of its variables; one that is not among them is unset."""
        native = self.rows['card'][card]['dataset_query']['native']
        given = {tag: values.get(tag) for tag in native['template-tags']}
        sql = native['query']
        while '[[' in sql:
            before, rest = sql.split('[[', 1)
            inside, after = rest.split(']]', 1)
            used = re.findall(r'{{\s*([^}\s]+)\s*}}', inside)
            sql = before + (inside if all(given[tag] is not None for tag in used) else '') + after
        for tag, value in given.items():
            kind = native['template-tags'][tag]['type']
            sql = re.sub(r'{{\s*%s\s*}}' % re.escape(tag), lambda _: "CAST('%s' AS %s)" % (str(value).replace("'", "''"), {'text': 'varchar'}.get(kind, kind)), sql)
        return sql

    ROUTES = [
        ('GET', r'/api/health', True, health), ('GET', r'/api/session/properties', True, properties),
        ('POST', r'/api/setup', True, setup), ('POST', r'/api/session', True, login),
        ('GET', r'/api/database', False, list_databases), ('GET', r'/api/database/(\d+)', False, get_database),
        ('POST', r'/api/database', False, post_database), ('PUT', r'/api/database/(\d+)', False, put_database),
        ('GET', r'/api/collection', False, list_collections), ('POST', r'/api/collection', False, post_collection),
        ('GET', r'/api/collection/(\d+)/items', False, collection_items),
        ('GET', r'/api/card/(\d+)', False, get_card), ('POST', r'/api/card', False, post_card), ('PUT', r'/api/card/(\d+)', False, put_card),
        ('GET', r'/api/dashboard/(\d+)', False, get_dashboard), ('POST', r'/api/dashboard', False, post_dashboard),
        ('PUT', r'/api/dashboard/(\d+)', False, put_dashboard),
    ]


def tag_of(target):
    need(len(target) == 2 and target[0] == 'variable' and listing(target[1]) and len(target[1]) == 2 and target[1][0] == 'template-tag',
         f'target {target!r} is none of a variable')
    return target[1][1]


def psql(details, sql, *options):
    return subprocess.run(['psql', '-XqAt', '-v', 'ON_ERROR_STOP=1', *options, '-c', sql], capture_output=True, text=True, check=False,
                          env={'PATH': '/usr/bin:/bin', 'PGHOST': details['host'], 'PGPORT': str(details['port']), 'PGUSER': details['user'],
                               'PGDATABASE': details['dbname'], 'PGPASSWORD': details.get('password', ''), 'PGCONNECT_TIMEOUT': '10'})


class Server:
    """The fake on a port of this machine, in a thread. with Server() as server: server.url, server.fake"""

    def __enter__(self):
        self.fake = fake = Fake()
        lock = threading.Lock()

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = 'HTTP/1.1'

            def answer(self):
                data = self.rfile.read(int(self.headers.get('Content-Length') or 0))
                try:
                    with lock:
                        status, reply = 200, fake.route(self.command, self.path, self.headers.get('X-Metabase-Session'), json.loads(data) if data else {})
                except No as no:
                    status, reply = no.status, {'message': no.reason}
                except ValueError as error:
                    status, reply = 400, {'message': str(error)}
                body = json.dumps(reply).encode()
                self.send_response(status)
                self.send_header('Content-Type', 'application/json')
                self.send_header('Content-Length', str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_POST = do_PUT = do_DELETE = answer

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Handler)
        self.server.daemon_threads = True
        self.url = f'http://127.0.0.1:{self.server.server_port}'
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()
