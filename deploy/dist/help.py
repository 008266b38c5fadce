"""Reads the help of a program: its summary, settings, flags and exit codes."""
import os
import re
import subprocess

# Program, and the commands whose settings are in a section of their own.
PROGRAMS = ('producer', 'bronze-sink', 'funnel-aggregator', 'pg-loader', 'topics', 'redrive', 'schemas',
            'funnel-tail', 'lake')
LAKE_COMMANDS = ('write', 'compact', 'expire', 'verify', 'register', 'rebuild')


def installed_name(program):
    """As deploy/install names it with PROGRAM_PREFIX=funnel-."""
    return program if program.startswith('funnel-') else f'funnel-{program}'


def output(bin_dir, program, *words):
    """What the program prints, in an empty environment: a variable of the caller would be a setting."""
    command = [os.path.join(bin_dir, program), *words]
    return subprocess.run(command, env={'PATH': os.environ['PATH']}, check=True, capture_output=True,
                          text=True).stdout


def rows(markdown):
    """Name, default and meaning of each row of a table; default None: the setting is required."""
    for line in markdown.splitlines()[2:]:
        name, default, meaning = [c.strip().replace('\\|', '|')
                                  for c in re.split(r'(?<!\\)\|', line)[1:4]]
        yield name.strip('`'), None if default == 'required' else default.strip('`'), meaning


class Help:
    def __init__(self, bin_dir, program, *command):
        text = output(bin_dir, program, *command, '--help')
        self.settings = list(rows(output(bin_dir, program, *command, '--help-markdown')))
        head, _, rest = text.partition('\n\n')
        self.summary = ' '.join(head.split(':', 1)[1].split())
        self.flags = pairs(rest.partition('Other flags:\n')[2].partition('\n\n')[0])
        self.exit_codes = pairs(rest.partition('Exit codes:\n')[2])


def pairs(block):
    """A word and its meaning, which may continue on indented lines."""
    found = []
    for line in block.splitlines():
        match = re.match(r'  (\S+) +(.*)', line)
        if match:
            found.append([match[1], match[2]])
        elif line.strip() and found:
            found[-1][1] += ' ' + line.strip()
    return found


def lake_commands(bin_dir):
    """The table of commands in `lake --help`."""
    block = output(bin_dir, 'lake', '--help').partition('Commands:\n')[2].partition('\n\n')[0]
    return [pair for pair in pairs(block)]
