"""What registries publish about known vulnerabilities. One class per source, with the same two functions:

  knows(component)     whether the source can be asked about this component
  ask(components)      returns findings, and a reason for each component that it gave no answer about; raises
                       Unreachable if it answered nothing

  debian   packages of Debian's security suite: a version there that is newer than ours corrects something. Debian gives
           no numbers of CVE there, and what is not corrected yet is not found.
  pypi     the field `vulnerabilities` of PyPI's JSON interface.
  osv      OSV.dev, for packages of Debian, Maven and PyPI, and for repositories of git.
"""
import json
import lzma
import os
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from collections import namedtuple
from concurrent.futures import ThreadPoolExecutor

Component = namedtuple('Component', 'purl type name namespace version qualifiers')
Finding = namedtuple('Finding', 'component id fixed_in source')
DEBIAN_RELEASES = {'bullseye': 11, 'bookworm': 12, 'trixie': 13, 'forky': 14}
TIMEOUT = 60
LARGEST_ANSWER = 200_000_000
AT_ONCE = 4
OSV_BATCH = 500


class Unreachable(Exception):
    pass


class NotFound(Unreachable):
    pass


# What a parser raises if an answer lacks a field, or a field has another type.
MALFORMED = (KeyError, TypeError, AttributeError, IndexError)


def malformed(failure):
    return f'the answer has another form than expected ({type(failure).__name__}: {failure})'


def shown(component):
    return '/'.join(part for part in (component.type, component.namespace, component.name) if part) + ' ' + component.version


def component_of(purl):
    """pkg:TYPE/NAMESPACE/NAME@VERSION?QUALIFIERS"""
    rest, _, query = purl.removeprefix('pkg:').partition('?')
    path, _, version = rest.partition('@')
    kind, *names = [urllib.parse.unquote(part) for part in path.split('/')]
    return Component(purl, kind, names[-1], '/'.join(names[:-1]), urllib.parse.unquote(version),
                     dict(urllib.parse.parse_qsl(query)))


def fetch(url, body=None):
    headers = {'User-Agent': 'funnel-audit', **({'Content-Type': 'application/json'} if body is not None else {})}
    data = None if body is None else json.dumps(body).encode()
    try:
        with urllib.request.urlopen(urllib.request.Request(url, data, headers), timeout=TIMEOUT) as answer:
            content = answer.read(LARGEST_ANSWER + 1)
    except urllib.error.HTTPError as failure:
        raise (NotFound if failure.code == 404 else Unreachable)(f'{url}: HTTP {failure.code}') from None
    except (OSError, ValueError) as failure:
        raise Unreachable(f'{url}: {getattr(failure, "reason", failure)}') from None
    if len(content) > LARGEST_ANSWER:
        raise Unreachable(f'{url}: the answer has more than {LARGEST_ANSWER} bytes')
    return content


def fetch_json(url, body=None):
    try:
        answer = json.loads(fetch(url, body))
    except ValueError:
        raise Unreachable(f'{url}: the answer is not JSON') from None
    if not isinstance(answer, dict):
        raise Unreachable(f'{url}: the answer is not an object')
    return answer


def in_parallel(one, components):
    """Asks about each component; all of them without an answer means that the source is away."""
    findings, unanswered = [], {}

    def guarded(component):
        try:
            return one(component)
        except Unreachable as failure:
            return failure
        except MALFORMED as failure:
            return Unreachable(malformed(failure))

    with ThreadPoolExecutor(AT_ONCE) as pool:
        for component, answer in zip(components, pool.map(guarded, components)):
            if isinstance(answer, Unreachable):
                unanswered[component.purl] = str(answer)
            else:
                findings += answer
    if components and len(unanswered) == len(components):
        raise Unreachable(next(iter(unanswered.values())))
    return findings, unanswered


class Debian:
    name = 'debian'

    def __init__(self):
        self.url = os.environ.get('DEBIAN_SECURITY_URL', 'https://deb.debian.org/debian-security').rstrip('/')

    def knows(self, component):
        return (component.type == 'deb' and component.namespace == 'debian' and component.version
                and component.qualifiers.get('distro') in DEBIAN_RELEASES)

    def ask(self, components):
        findings, unanswered, suites = [], {}, {}
        for one in components:
            # A package for all processors is in the list of each of them.
            processor = one.qualifiers.get('arch', 'all').replace('all', 'amd64')
            suites.setdefault((one.qualifiers['distro'], processor), []).append(one)
        for (codename, processor), members in sorted(suites.items()):
            try:
                fixed = self.versions(codename, processor)
            except Unreachable as failure:
                unanswered.update({one.purl: str(failure) for one in members})
                continue
            findings += [Finding(one, f'{codename}-security', fixed[one.name], self.name)
                         for one in members if one.name in fixed and self.older(one.version, fixed[one.name])]
        if len(unanswered) == len(components):
            raise Unreachable(next(iter(unanswered.values())))
        return findings, unanswered

    def versions(self, codename, processor):
        """The newest version of each package in the security suite."""
        url = f'{self.url}/dists/{codename}-security/main/binary-{processor}/Packages.xz'
        try:
            lines = lzma.decompress(fetch(url)).decode(errors='replace').splitlines()
        except lzma.LZMAError:
            raise Unreachable(f'{url}: the answer is not an xz file') from None
        newest, name = {}, None
        for line in lines:
            if line.startswith('Package: '):
                name = line[9:]
            elif line.startswith('Version: ') and name:
                if name not in newest or self.older(newest[name], line[9:]):
                    newest[name] = line[9:]
        if not newest:
            raise Unreachable(f'{url}: the answer has no package')
        return newest

    @staticmethod
    def older(one, other):
        try:
            return one != other and subprocess.run(['dpkg', '--compare-versions', one, 'lt', other], check=False).returncode == 0
        except FileNotFoundError:
            raise Unreachable('dpkg, which compares versions, is not installed') from None


class PyPI:
    name = 'pypi'

    def __init__(self):
        self.url = os.environ.get('PYPI_URL', 'https://pypi.org').rstrip('/')

    def knows(self, component):
        return component.type == 'pypi' and component.version

    def ask(self, components):
        return in_parallel(self.one, components)

    def one(self, component):
        try:
            answer = fetch_json(f'{self.url}/pypi/{component.name}/{component.version}/json')
        except NotFound:
            # Some mirrors have only the page of the project, which is about its newest version.
            answer = fetch_json(f'{self.url}/pypi/{component.name}/json')
        version = answer.get('info', {}).get('version')
        if version != component.version or not isinstance(answer.get('vulnerabilities'), list):
            raise Unreachable(f'{self.url} has no answer for version {component.version}, only for {version}')
        return [Finding(component, ' '.join([known['id'], *known.get('aliases', [])]),
                        ', '.join(known.get('fixed_in') or []), self.name)
                for known in answer['vulnerabilities'] if not known.get('withdrawn')]


class OSV:
    name = 'osv'

    def __init__(self):
        self.url = os.environ.get('OSV_URL', 'https://api.osv.dev').rstrip('/')

    def knows(self, component):
        return component.version and (component.type in ('maven', 'pypi', 'github') or
                                      component.qualifiers.get('distro') in DEBIAN_RELEASES)

    @staticmethod
    def query(component):
        if component.type == 'deb':
            return {'package': {'ecosystem': f'Debian:{DEBIAN_RELEASES[component.qualifiers["distro"]]}',
                                'name': component.qualifiers.get('upstream', component.name)},
                    'version': component.version}
        if component.type == 'github':
            return {'package': {'ecosystem': 'GIT', 'name': f'https://github.com/{component.namespace}/{component.name}'},
                    'version': component.version}
        return {'package': {'purl': component.purl.partition('?')[0]}}

    def ask(self, components):
        findings, known, unanswered = [], {}, {}
        for start in range(0, len(components), OSV_BATCH):
            batch = components[start:start + OSV_BATCH]
            for component, ids in self.batch(batch):
                for number in ids:
                    if number not in known:
                        known[number] = self.record(number)
                    if isinstance(known[number], Unreachable):
                        findings.append(Finding(component, number, 'a version that is not known', self.name))
                        unanswered[component.purl] = str(known[number])
                    elif not known[number].get('withdrawn'):
                        findings.append(self.finding(component, known[number]))
        return findings, unanswered

    def record(self, number):
        """What is known of a number, or why it could not be asked."""
        try:
            return fetch_json(f'{self.url}/v1/vulns/{urllib.parse.quote(number)}')
        except Unreachable as failure:
            return failure

    def batch(self, components):
        """Pairs of a component and an id; an answer that continues on a further page is asked for again."""
        queries = [(component, self.query(component)) for component in components]
        pairs = []
        while queries:
            results = fetch_json(f'{self.url}/v1/querybatch', {'queries': [query for _, query in queries]}).get('results')
            if not isinstance(results, list) or len(results) != len(queries):
                raise Unreachable(f'{self.url}/v1/querybatch: expected {len(queries)} results')
            further = []
            for (component, query), result in zip(queries, results):
                pairs.append((component, [one['id'] for one in result.get('vulns', [])]))
                if result.get('next_page_token'):
                    further.append((component, {**query, 'page_token': result['next_page_token']}))
            queries = further
        return pairs

    def finding(self, component, record):
        wanted = self.query(component)['package']
        name = wanted.get('name') or (f'{component.namespace}:{component.name}' if component.type == 'maven' else component.name)
        fixed = dict.fromkeys(event['fixed'] for affected in record.get('affected', [])
                              if affected.get('package', {}).get('name', name) == name
                              and wanted.get('ecosystem') in (None, 'GIT', affected.get('package', {}).get('ecosystem'))
                              for span in affected.get('ranges', []) for event in span.get('events', []) if 'fixed' in event)
        return Finding(component, ' '.join([record['id'], *record.get('aliases', [])]), ', '.join(fixed), self.name)


SOURCES = {source.name: source for source in (Debian, PyPI, OSV)}
