"""Every 3 hours: stream the next month as one segment, wait until it is complete in PostgreSQL, check its batch reports.

The producer sends the rows, and continues where a failed try has stopped. The settings are those of the producer
(KAFKA_BROKERS, SCHEMA_REGISTRY_URL, TOPIC_PREFIX, INPUT ...) and POSTGRES_DSN, in the environment of the Airflow workers;
and these:

  CLICKSTREAM_PRODUCER   the program (default: producer)
  CLICKSTREAM_MONTHS     the months in order (default: the public ones, 2019-10 to 2020-04)
  CLICKSTREAM_WORKDIR    working directory of the producer, which keeps its progress there (default: the home folder)
  CLICKSTREAM_REJECTS    largest share of rejected rows (default: 0.01)
  CLICKSTREAM_RETRY_SECONDS   pause before the first retry of a task, doubled before each further one (default: 60)

The Airflow variable clickstream_months has the segment of each month that was sent, and whether its reports were checked.
Delete it to begin again.
"""
import datetime
import json
import os
import re
import subprocess

import psycopg2
from airflow.sdk import DAG, Variable, task
from airflow.sdk.exceptions import AirflowSkipException

MONTHS = os.environ.get('CLICKSTREAM_MONTHS', '2019-10,2019-11,2019-12,2020-01,2020-02,2020-03,2020-04').split(',')
STATE = 'clickstream_months'
RETRIES = {'retries': 3, 'retry_exponential_backoff': True,
           'retry_delay': datetime.timedelta(seconds=float(os.environ.get('CLICKSTREAM_RETRY_SECONDS', '60')))}


def state():
    """month -> {"segment": name, "checked": bool}"""
    return json.loads(Variable.get(STATE, default='{}'))


def note(month, **values):
    months = state()
    months.setdefault(month, {}).update(values)
    Variable.set(STATE, json.dumps(months))


def require(good, what):
    if not good:
        raise RuntimeError(what)


def query(sql, *values):
    connection = psycopg2.connect(os.environ['POSTGRES_DSN'])
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute(sql, values)
            return cursor.fetchall()
    finally:
        connection.close()


@task
def next_month():
    """The first month whose reports were not checked yet."""
    for month in MONTHS:
        if not state().get(month, {}).get('checked'):
            return month
    raise AirflowSkipException('all months are done: ' + ', '.join(MONTHS))


@task(**RETRIES)
def stream(month):
    """Sends the month, unless an earlier run has sent all of it. Returns the name of its segment."""
    if 'segment' in state().get(month, {}):
        return state()[month]['segment']
    command = [os.environ.get('CLICKSTREAM_PRODUCER', 'producer'), '--month', month]
    segment = None
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                          cwd=os.environ.get('CLICKSTREAM_WORKDIR', os.path.expanduser('~'))) as producer:
        for line in producer.stderr:
            print(line, end='')
            found = re.search(r' event=sending segment=(\S+)', line)
            segment = found.group(1).strip('"') if found else segment
    require(producer.returncode == 0, f'{" ".join(command)} ended with {producer.returncode}; its last lines say why')
    require(segment, 'the producer has not logged the name of its segment')
    note(month, segment=segment)
    return segment


@task.sensor(poke_interval=10, timeout=2 * 3600, mode='reschedule')
def complete(segment):
    """Waits until all rows of the newest run of the segment are stored and its batch reports are made."""
    rows = query('SELECT complete, waiting_for FROM reporting.segments WHERE segment = %s ORDER BY run DESC LIMIT 1', segment)
    print(f'{segment}: {rows[0][1] if rows and rows[0][1] else "complete" if rows else "not loaded yet"}')
    return bool(rows) and rows[0][0]


@task(**RETRIES)
def check_reports(month, segment):
    """Compares the reports of the segment with its counts, and with the stored events."""
    [(run, announced, arrived, stored, duplicates, rejects)] = query(
        '''SELECT run, rows_announced, rows_in, stored, duplicates, rejects FROM reporting.segments
           WHERE segment = %s AND complete ORDER BY run DESC LIMIT 1''', segment)
    require(arrived >= announced > 0, f'{arrived} rows arrived, {announced} were announced')
    require(arrived == stored + duplicates + rejects, f'{arrived} rows are not {stored} + {duplicates} + {rejects}')
    share = float(os.environ.get('CLICKSTREAM_REJECTS', '0.01'))
    require(rejects <= share * arrived, f'{rejects} of {arrived} rows were rejected, more than {share:.2%}')
    days, months = (query(f'SELECT coalesce(sum(events), 0) FROM reporting.{table} WHERE segment = %s AND run = %s',
                          segment, run)[0][0] for table in ('segment_days', 'segment_months'))
    require(days == months == stored, f'{stored} events are stored, the reports have {days} by day and {months} by month')
    wrong = query("SELECT check_name, subject, expected, actual FROM reporting.reconciliation WHERE state IN ('differs', 'overdue')")
    require(not wrong, f'layers differ: {wrong}')
    note(month, checked=True)
    print(f'{month}: {stored} events stored, {duplicates} duplicates, {rejects} rejects')


with DAG(dag_id='clickstream_months', schedule=datetime.timedelta(hours=3), start_date=datetime.datetime(2026, 1, 1),
         catchup=False, max_active_runs=1, tags=['clickstream'], doc_md=__doc__):
    the_month = next_month()
    the_segment = stream(the_month)
    complete(the_segment) >> check_reports(the_month, the_segment)
