"""What we ship or download, read from the files that pin it. No version is written here.

Each function returns components of one origin. A file that does not have what is expected ends the program with
BadPin, which names the file: a silent gap would be a wrong document.
"""
import re
import subprocess
import urllib.parse
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
RDKAFKA = 'deploy/librdkafka/build'
DUCKDB = 'deploy/duckdb/build'
AIRFLOW = 'deploy/airflow/requirements.txt'
KAFKA_AGENT = 'deploy/observability/kafka-agent'
STRIMZI = 'deploy/kubernetes/kafka/cluster.yaml'
DUCKDB_PARTS = 'deploy/duckdb/LICENSES.txt'
BUILD_STAGE = 'build'  # of the Dockerfile: nothing of it but our files reaches the image
OUR_IMAGE = re.compile(r'\$\{FUNNEL_IMAGE')


class BadPin(Exception):
    pass


@dataclass
class Component:
    key: str  # the package URL without version and qualifiers; the key of the table of licences
    version: str  # empty if the distribution decides
    delivery: str  # how users get it
    pinned_in: str  # the file that has the version
    kind: str = 'library'  # a component type of CycloneDX
    sha256: str = ''
    qualifiers: str = ''
    downloads: list = field(default_factory=list)  # pairs of URL and SHA-256, which may be empty
    parts: list = field(default_factory=list)  # keys of parts, for the table of licences
    licence_file: str = ''  # for packages that are not in the table

    @property
    def name(self):
        return urllib.parse.unquote(self.key.rsplit('/', 1)[-1])

    @property
    def purl(self):
        version = '@' + urllib.parse.quote(self.version, safe=':.-_~') if self.version else ''
        return self.key + version + ('?' + self.qualifiers if self.qualifiers else '')


def text(path):
    return (ROOT / path).read_text()


def files(folder, pattern):
    return sorted(str(path.relative_to(ROOT)) for path in (ROOT / folder).glob(pattern))


def found(path, pattern, what):
    match = re.search(pattern, text(path), re.MULTILINE)
    if not match:
        raise BadPin(f'{path} has no {what}: expected text that matches {pattern}')
    return match.groups()[0] if len(match.groups()) == 1 else match.groups()


def all_found(path, pattern, what):
    matches = re.findall(pattern, text(path), re.MULTILINE)
    if not matches:
        raise BadPin(f'{path} has no {what}: expected text that matches {pattern}')
    return matches


def shell_value(path, name):
    return found(path, rf'^{name}=(\S+)', f'line {name}=...')


def programs():
    """The names of our programs, from the Makefile."""
    return sorted(found('Makefile', r'^SERVICES := (.*)$', 'SERVICES').split()
                  + found('Makefile', r'^TOOLS +:= (.*)$', 'TOOLS').split() + ['lake'])


def librdkafka():
    version = shell_value(RDKAFKA, 'VERSION')
    release = shell_value(RDKAFKA, 'RELEASE').replace('$VERSION', version)
    names = all_found('deploy/librdkafka/sources.sha256', r'^[0-9a-f]{64}  (.+)$', 'file with its SHA-256')
    # The archive's own checksum is not pinned: sources.sha256 pins each file of it.
    return Component('pkg:github/confluentinc/librdkafka', 'v' + version, 'linked statically into all programs',
                     RDKAFKA, downloads=[(release, '')],
                     parts=[f'librdkafka/{part}' for part in librdkafka_parts(names)])


# Files of librdkafka that are from other projects, by its LICENSES.txt, and the name of each there.
RDKAFKA_PARTS = {'cjson': 'src/cJSON.c', 'crc32c': 'src/crc32c.c', 'fnv1a': 'src/rdfnv1a.c',
                 'hdrhistogram': 'src/rdhdrhistogram.c', 'lz4': 'src/lz4.c', 'murmur2': 'src/rdmurmur2.c',
                 'nanopb': 'src/nanopb/pb.h', 'opentelemetry': 'src/opentelemetry/metrics.pb.c',
                 'pycrc': 'src/rdcrc32.c', 'queue': 'src/queue.h', 'regexp': 'src/regexp.c',
                 'snappy': 'src/snappy.c', 'tinycthread': 'src/tinycthread.c', 'wingetopt': 'src/wingetopt.c'}


def librdkafka_parts(names):
    return [part for part, file in RDKAFKA_PARTS.items() if file in names]


def duckdb():
    version, module, module_version = (shell_value(DUCKDB, name) for name in ('VERSION', 'MODULE', 'MODULE_VERSION'))
    platforms = all_found(DUCKDB, r'PLATFORM=(\S+) SHA256=([0-9a-f]{64})', 'PLATFORM=... SHA256=...')
    parts = all_found(DUCKDB_PARTS, r'^======== (\S+)$', 'heading of a part')
    return Component('pkg:github/duckdb/duckdb', 'v' + version, 'linked statically into lake', DUCKDB,
                     downloads=[(f'https://proxy.golang.org/{module}/{platform}/@v/{module_version}.zip', sha256)
                                for platform, sha256 in platforms],
                     parts=[f'duckdb/{part}' for part in dict.fromkeys(parts)])


def linked():
    return [librdkafka(), duckdb()]


# ---- images

def image(reference, delivery, path):
    """name:tag or registry/name:tag, optionally @sha256:digest."""
    match = re.fullmatch(r'(?:docker\.io/)?(?:library/)?([^:@]+):((?!latest$)[^:@]+)(?:@sha256:([0-9a-f]{64}))?', reference)
    if not match:
        raise BadPin(f'{path} has the image "{reference}": expected NAME:VERSION, and no version such as latest')
    name, version, digest = match.groups()
    return Component(f'pkg:docker/{name}', version, delivery, path, 'container', sha256=digest or '')


def compose_images():
    """Of all compose files. An image that is never pulled is not of another project."""
    components = []
    for path in ['docker-compose.yml', *files('deploy/docker', '*.yml')]:
        for name, never in re.findall(r'^ *image: *(\S+)\n( *pull_policy: never$)?', text(path), re.MULTILINE):
            name = re.sub(r'\$\{(?!FUNNEL_IMAGE)\w+:-([^}]*)\}', r'\1', name)
            if not never and not OUR_IMAGE.match(name):
                components.append(image(name, 'image of docker compose', path))
    if not components:
        raise BadPin('the compose files have no image')
    return components


def dockerfiles():
    """Base images, and the packages that reach an image: those of every stage but the one that builds."""
    components = []
    for path in files('deploy/docker', '*Dockerfile'):
        instructions = re.sub(r'\\\n', ' ', text(path))
        stages = re.findall(r'^FROM (\S+)(?: AS (\S+))?((?:\n(?!FROM ).*)*)', instructions, re.MULTILINE)
        named = {name for _, name, _ in stages}
        for base, name, body in stages:
            if base not in named:
                components.append(image(base, 'base of our images', path))
            if name != BUILD_STAGE:
                packages = [word for words in re.findall(r'apt-get install ([^&]*)', body) for word in words.split()]
                components += [Component(f'pkg:deb/debian/{word}', '', 'package of Debian in our images', path)
                               for word in packages if not word.startswith('-')]
    if not any(one.key.startswith('pkg:deb/') for one in components):
        raise BadPin('deploy/docker has no Dockerfile that installs packages')
    return components


def kubernetes():
    components = [Component('pkg:github/apache/kafka', found(STRIMZI, r'^    version: (\S+)', 'version of Kafka'),
                            'run by Strimzi on Kubernetes', STRIMZI, 'application')]
    pattern = r'- name: (\S+).*\n +newName: (\S+)\n +newTag: "?([^"\s]+)'
    for path in files('deploy/kubernetes', '**/kustomization.yaml'):
        components += [image(f'{image_name}:{tag}', 'image of the Kubernetes manifests', path)
                       for name, image_name, tag in re.findall(pattern, text(path)) if name != 'funnel']
    return components


# ---- downloads of the local stack, and of Airflow

def jar(path, sha256, file, delivery, licences):
    match = re.fullmatch(r'(?:.*/)?(.+?)-(\d.*?)(?:-all)?\.(jar|tar\.gz)', file)
    if not match:
        raise BadPin(f'{path} has the file "{file}": expected NAME-VERSION.jar')
    name, version, kind = match.groups()
    # The file has no group; the table of licences has it.
    keys = [key for key in licences if key.startswith('pkg:maven/') and key.endswith('/' + name)]
    if len(keys) != 1:
        raise BadPin(f'deploy/sbom/licences has {len(keys)} lines pkg:maven/GROUP/{name}: expected one, for {file} of {path}')
    return Component(keys[0], version, delivery, path, sha256=sha256,
                     qualifiers='' if kind == 'jar' else 'classifier=all&type=tar.gz')


def maven(licences):
    lists = [('deploy/local/kafka/artifacts.sha256', 'downloaded from Maven Central by make up'),
             ('deploy/local/kafka/tools.sha256', 'downloaded from Maven Central with SECURE=1')]
    components = [jar(path, sha256, file, delivery, licences) for path, delivery in lists
                  for sha256, file in all_found(path, r'^([0-9a-f]{64})  (\S+)$', 'file with its SHA-256')]
    agent = shell_value(KAFKA_AGENT, 'JAR').rsplit('/', 1)[-1].replace('$VERSION', shell_value(KAFKA_AGENT, 'VERSION'))
    return components + [jar(KAFKA_AGENT, shell_value(KAFKA_AGENT, 'SHA256'), agent,
                             'downloaded from Maven Central by ' + KAFKA_AGENT, licences)]


def python_packages():
    return [Component(f'pkg:pypi/{name.lower().replace("_", "-")}', version, 'installed by pip for deploy/airflow', AIRFLOW)
            for name, version in all_found(AIRFLOW, r'^([A-Za-z0-9._-]+)==(\S+)$', 'line NAME==VERSION')]


def everything(licences):
    return linked() + dockerfiles() + compose_images() + kubernetes() + maven(licences) + python_packages()


# ---- packages of Debian on this machine

def run(*command):
    try:
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout
    except FileNotFoundError:
        raise BadPin(f'{command[0]} is not installed: this needs a system with packages of Debian') from None
    except subprocess.CalledProcessError as failure:
        raise BadPin(f'{" ".join(command)[:200]}: {failure.stderr.strip()[:300]}') from None


def release():
    values = dict(line.split('=', 1) for line in Path('/etc/os-release').read_text().splitlines() if '=' in line)
    return values.get('ID', 'debian').strip('"'), values.get('VERSION_CODENAME', '').strip('"')


def installed(delivery, only=None):
    """The packages that are installed here, or some of them, in their versions."""
    system, codename = release()
    form = '${Package}\t${Version}\t${Architecture}\t${source:Package}\t${db:Status-Status}\n'
    components = []
    for line in run('dpkg-query', '-W', '-f', form).splitlines():
        name, version, processor, source, status = line.split('\t')
        if status != 'installed' or (only is not None and name not in only):
            continue
        qualifiers = f'arch={processor}&distro={codename}' + (f'&upstream={source}' if source != name else '')
        components.append(Component(f'pkg:deb/{system}/{name}', version, delivery, '', qualifiers=qualifiers,
                                    licence_file=f'/usr/share/doc/{name}/copyright'))
    return components


def libraries_of(files):
    """The names of the packages that have the shared libraries of these programs."""
    paths = set()
    for file in files:
        for path in re.findall(r'(/\S+) \(0x', run('ldd', str(file))):
            real = str(Path(path).resolve())
            # Packages may name files below /lib or below /usr/lib; these are one folder.
            paths |= {path, real, real.removeprefix('/usr'), path.removeprefix('/usr')}
    try:  # ends with 1 if one of the names is unknown
        out = subprocess.run(['dpkg-query', '-S', *sorted(paths)], capture_output=True, text=True, check=False).stdout
    except FileNotFoundError:
        raise BadPin('dpkg-query is not installed: this needs a system with packages of Debian') from None
    return {line.split(':')[0] for line in out.splitlines() if not line.startswith('diversion')}
