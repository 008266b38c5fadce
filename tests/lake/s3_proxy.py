"""A proxy between an S3 client and its server that breaks requests and answers, as networks and busy servers do.

Faults are a queue. Each has a method and a part of the request's first line that it waits for; it breaks the first
request that fits, and is then gone:
  cut request    the connection is cut when half of the body has been read; the server gets nothing
  lose answer    the server carries out the request; the connection is cut before its answer
  cut answer     half of the answer is sent
  slow answer    the answer comes in pieces, with a pause before each
  hang           no answer, until the client goes away
  damage         one byte of the body is changed on its way to the server
  damage answer  one byte of the body is changed on its way to the client
  (status, body) this answer instead; the server gets nothing
  a function     is called before the request goes to the server, complete"""
import socket
import threading
import time

PIECES = 6


def read_message(end):
    """Head and body of a request or answer; None at the end of the connection."""
    head = b''
    while b'\r\n\r\n' not in head:
        piece = end.recv(65536)
        if not piece:
            return None
        head += piece
    head, _, body = head.partition(b'\r\n\r\n')
    return head + b'\r\n\r\n', body


def length_of(head):
    for line in head.lower().split(b'\r\n'):
        if line.startswith(b'content-length:'):
            return int(line.split(b':')[1])
    return 0


def read_body(end, body, length):
    while len(body) < length:
        piece = end.recv(min(1 << 20, length - len(body)))
        if not piece:
            raise ConnectionError('the connection ended within a body')
        body += piece
    return body


class Proxy:
    def __init__(self, server_port):
        self.server_port, self.faults, self.requests, self.lock = server_port, [], [], threading.Lock()
        self.pause = 0.5  # seconds before each piece of a slow answer
        self.listener = socket.create_server(('127.0.0.1', 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def break_next(self, method, part, fault):
        with self.lock:
            self.faults.append((method, part, fault))

    def take_fault(self, first_line):
        with self.lock:
            self.requests.append(first_line)
            for i, (method, part, fault) in enumerate(self.faults):
                if first_line.startswith(method + ' ') and part in first_line:
                    del self.faults[i]
                    return fault
        return None

    def accept(self):
        while True:
            client, _ = self.listener.accept()
            threading.Thread(target=self.serve, args=(client,), daemon=True).start()

    def serve(self, client):
        try:
            with client, socket.create_connection(('127.0.0.1', self.server_port)) as server:
                while self.serve_one(client, server):
                    pass
        except OSError:
            pass

    def serve_one(self, client, server):
        message = read_message(client)
        if not message:
            return False
        head, body = message
        first_line = head.split(b'\r\n')[0].decode()
        fault = self.take_fault(first_line)
        length = length_of(head)
        if fault == 'cut request':
            read_body(client, body, length // 2)
            return False
        body = read_body(client, body, length)
        if fault == 'hang':
            return client.recv(1) != b''
        if isinstance(fault, tuple):
            status, text = fault
            client.sendall(f'HTTP/1.1 {status} X\r\nContent-Length: {len(text)}\r\n\r\n{text}'.encode())
            return True
        if callable(fault):
            fault()
        if fault == 'damage':
            body = bytes([body[0] ^ 1]) + body[1:]
        server.sendall(head + body)
        return self.answer(client, server, first_line, fault)

    def answer(self, client, server, first_line, fault):
        message = read_message(server)
        if not message:
            return False
        head, body = message
        if not first_line.startswith('HEAD '):
            body = read_body(server, body, length_of(head))
        if fault == 'lose answer':
            return False
        if fault == 'damage answer':
            body = bytes([body[0] ^ 1]) + body[1:]
        if fault == 'cut answer':
            client.sendall(head + body[:len(body) // 2])
            return False
        if fault == 'slow answer':
            step = len(body) // PIECES + 1
            client.sendall(head)
            for at in range(0, len(body), step):
                time.sleep(self.pause)
                client.sendall(body[at:at + step])
            return True
        client.sendall(head + body)
        return True
