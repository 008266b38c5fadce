"""A private SeaweedFS, installed from PyPI into the cache, once; and a client of its own for what a test compares with."""
import datetime
import hashlib
import hmac
import json
import os
import pathlib
import re
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
REQUIREMENTS = ROOT / 'tests/lake/requirements-s3.txt'
BUCKET, REGION = 'lake', 'us-east-1'
WRITER = ('writeraccess', 'writersecret0123456789')
READER = ('readeraccess', 'readersecret0123456789')


def weed_program():
    cache = pathlib.Path(os.environ.get('CACHE_DIR') or ROOT / '.local/cache')
    folder = cache / ('seaweedfs-' + hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()[:12])
    if not (folder / 'ready').exists():
        subprocess.run([sys.executable, '-m', 'venv', '--clear', folder], check=True)
        subprocess.run([folder / 'bin/pip', 'install', '-q', '-r', REQUIREMENTS], check=True)
        (folder / 'ready').touch()
    return folder / 'bin/weed'


def free_ports(count):
    """Below the range from which Linux takes ports for outgoing connections."""
    found = []
    for port in range(20000 + os.getpid() % 10000, 32000):
        with socket.socket() as probe:
            try:
                probe.bind(('127.0.0.1', port))
            except OSError:
                continue
        found.append(port)
        if len(found) == count:
            return found
    raise RuntimeError('no free ports')


class Client:
    def __init__(self, port):
        self.port = port

    def request(self, method, key='', query=None, body=b'', identity=WRITER, more=None):
        """The answer of a signed request; HTTPError for a failure."""
        now = datetime.datetime.now(datetime.timezone.utc).strftime('%Y%m%dT%H%M%SZ')
        path = urllib.parse.quote(f'/{BUCKET}/{key}')
        text = '&'.join(f'{urllib.parse.quote(name, safe="")}={urllib.parse.quote(value, safe="")}' for name, value in sorted((query or {}).items()))
        headers = {'host': f'127.0.0.1:{self.port}', 'x-amz-content-sha256': hashlib.sha256(body).hexdigest(), 'x-amz-date': now, **(more or {})}
        signed = ';'.join(sorted(headers))
        canonical = '\n'.join([method, path, text, *(f'{name}:{headers[name]}' for name in sorted(headers)), '', signed, headers['x-amz-content-sha256']])
        scope = f'{now[:8]}/{REGION}/s3/aws4_request'
        key_now = ('AWS4' + identity[1]).encode()
        for part in scope.split('/'):
            key_now = hmac.new(key_now, part.encode(), hashlib.sha256).digest()
        to_sign = '\n'.join(['AWS4-HMAC-SHA256', now, scope, hashlib.sha256(canonical.encode()).hexdigest()])
        signature = hmac.new(key_now, to_sign.encode(), hashlib.sha256).hexdigest()
        headers['Authorization'] = f'AWS4-HMAC-SHA256 Credential={identity[0]}/{scope}, SignedHeaders={signed}, Signature={signature}'
        url = f'http://127.0.0.1:{self.port}{path}' + (f'?{text}' if text else '')
        return urllib.request.urlopen(urllib.request.Request(url, method=method, data=body or None, headers=headers), timeout=60)

    def content(self, key):
        """None: there is no such object."""
        try:
            return self.request('GET', key).read()
        except urllib.error.HTTPError as error:
            if error.code == 404:
                return None
            raise

    def uploads(self):
        """Keys of multipart uploads that are neither completed nor aborted."""
        return re.findall('<Upload>.*?<Key>(.*?)</Key>', self.request('GET', query={'uploads': ''}).read().decode(), re.DOTALL)


class Seaweed(Client):
    PORTS = ('s3.port', 's3.port.grpc', 'master.port', 'master.port.grpc', 'filer.port', 'filer.port.grpc', 'volume.port', 'volume.port.grpc')

    def __init__(self, folder):
        ports = dict(zip(self.PORTS, free_ports(len(self.PORTS))))
        super().__init__(ports['s3.port'])
        identities = [{'name': name, 'credentials': [{'accessKey': key, 'secretKey': secret}], 'actions': actions}
                      for name, (key, secret), actions in (('writer', WRITER, ['Admin', 'Read', 'Write', 'List']), ('reader', READER, ['Read', 'List']))]
        os.makedirs(folder / 'data')
        (folder / 's3.json').write_text(json.dumps({'identities': identities}))
        self.log = open(folder / 'weed.log', 'wb')
        self.process = subprocess.Popen(
            [weed_program(), 'mini', f'-dir={folder}/data', '-ip=127.0.0.1', '-ip.bind=127.0.0.1', f'-s3.config={folder}/s3.json', f'-bucket={BUCKET}',
             '-s3.port.iceberg=0', '-s3.port.lance=0', '-admin.ui=false', '-webdav=false', '-s3.autoCreateBucket=false', '-master.telemetry=false',
             *(f'-{name}={port}' for name, port in ports.items())], stdout=self.log, stderr=self.log, stdin=subprocess.DEVNULL)
        self.wait(folder)

    def wait(self, folder):
        for _ in range(600):
            try:
                if self.request('GET', query={'list-type': '2'}).status == 200:
                    return
            except (OSError, urllib.error.HTTPError):
                pass
            if self.process.poll() is not None:
                break
            time.sleep(0.1)
        raise RuntimeError('SeaweedFS did not start: ' + (folder / 'weed.log').read_text()[-2000:])

    def stop(self):
        self.process.terminate()
        self.process.wait(60)
