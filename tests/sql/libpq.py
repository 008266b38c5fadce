"""Connections to PostgreSQL that stay open, by the C library libpq.

The SQL tests run thousands of short statements. With a psql for each, most of their time is the start of
processes and of sessions, and the first use of each table and function in a session. Here a session is used
again. DISCARD ALL between two uses removes its temporary tables, settings and plans.
"""
import collections, ctypes, ctypes.util, threading

IDLE_LIMIT = 12  # sessions that are kept for a next use
COPY_OUT, COPY_IN = 3, 4  # ExecStatusType of libpq-fe.h
FAILED = (5, 7)  # PGRES_BAD_RESPONSE, PGRES_FATAL_ERROR

def load():
    name = ctypes.util.find_library('pq')
    if not name:
        raise SystemExit('libpq.py: libpq is not installed')
    pq = ctypes.CDLL(name)
    for function, result, *arguments in (
            ('PQconnectdb', 'p', 's'), ('PQstatus', 'i', 'p'), ('PQerrorMessage', 's', 'p'), ('PQfinish', None, 'p'), ('PQsetNoticeProcessor', 'p', 'p', 'p', 'p'),
            ('PQsendQuery', 'i', 'p', 's'), ('PQgetResult', 'p', 'p'), ('PQclear', None, 'p'), ('PQfreemem', None, 'p'), ('PQresultStatus', 'i', 'p'),
            ('PQresultErrorMessage', 's', 'p'), ('PQntuples', 'i', 'p'), ('PQnfields', 'i', 'p'), ('PQgetvalue', 'p', 'p', 'i', 'i'), ('PQgetlength', 'i', 'p', 'i', 'i'),
            ('PQputCopyData', 'i', 'p', 's', 'i'), ('PQputCopyEnd', 'i', 'p', 's'), ('PQgetCopyData', 'i', 'p', 'p', 'i')):
        types = {'p': ctypes.c_void_p, 's': ctypes.c_char_p, 'i': ctypes.c_int, None: None}
        getattr(pq, function).restype = types[result]
        getattr(pq, function).argtypes = [types[a] for a in arguments]
    return pq

PQ = load()
IGNORE_NOTICE = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_char_p)(lambda *_: None)

class Session:
    def __init__(self, dsn):
        self.connection = PQ.PQconnectdb(dsn.encode())
        if PQ.PQstatus(self.connection):
            error = PQ.PQerrorMessage(self.connection).decode()
            self.close()
            raise RuntimeError(error)
        PQ.PQsetNoticeProcessor(self.connection, ctypes.cast(IGNORE_NOTICE, ctypes.c_void_p), None)

    def close(self):
        PQ.PQfinish(self.connection)

    def run(self, text, data=''):
        """The rows of all statements of a text, which is one transaction unless it says otherwise, as `psql -c` does it. data: what a COPY FROM STDIN reads."""
        found, error = [], ''
        if not PQ.PQsendQuery(self.connection, text.encode()):
            raise RuntimeError(PQ.PQerrorMessage(self.connection).decode())
        while result := PQ.PQgetResult(self.connection):
            status = PQ.PQresultStatus(result)
            if status in FAILED:
                error += PQ.PQresultErrorMessage(result).decode()
            elif status == COPY_IN:
                self.copy_in(data.encode())
            elif status == COPY_OUT:
                found += self.copy_out()
            else:
                found += self.rows(result)
            PQ.PQclear(result)
        if error:
            raise RuntimeError(error)
        return found

    def rows(self, result):
        fields = range(PQ.PQnfields(result))
        return [tuple(ctypes.string_at(PQ.PQgetvalue(result, n, field), PQ.PQgetlength(result, n, field)).decode() for field in fields) for n in range(PQ.PQntuples(result))]

    def copy_in(self, data):
        if PQ.PQputCopyData(self.connection, data, len(data)) < 0 or PQ.PQputCopyEnd(self.connection, None) < 0:
            raise RuntimeError(PQ.PQerrorMessage(self.connection).decode())

    def copy_out(self):
        found, line = [], ctypes.c_void_p()
        while (length := PQ.PQgetCopyData(self.connection, ctypes.byref(line), 0)) > 0:
            found.append((ctypes.string_at(line, length).decode().removesuffix('\n'),))
            PQ.PQfreemem(line)
        return found

class Sessions:
    """Sessions by their dsn. Threads may use it."""
    def __init__(self):
        self.idle, self.lock = collections.OrderedDict(), threading.Lock()

    def take(self, dsn):
        with self.lock:
            for number, (its_dsn, session) in reversed(self.idle.items()):
                if its_dsn == dsn:
                    del self.idle[number]
                    return session
        return Session(dsn)

    def run(self, dsn, text, data=''):
        session = self.take(dsn)
        try:
            found = session.run(text, data)
            session.run('DISCARD ALL')  # also fails if the text has left a transaction open
        except BaseException:
            session.close()
            raise
        with self.lock:
            self.idle[id(session)] = dsn, session
            oldest = self.idle.popitem(last=False)[1][1] if len(self.idle) > IDLE_LIMIT else None
        if oldest:
            oldest.close()
        return found

    def close(self):
        """Ends all sessions that are not in use: a database with sessions cannot be dropped or copied."""
        with self.lock:
            idle, self.idle = self.idle, collections.OrderedDict()
        for _, session in idle.values():
            session.close()
