#!/usr/bin/env python3
"""Makes a database of invented results, as large as one likes: usage: make_database.py FILE [--runs N] [--metrics N]

The numbers follow plausible curves and mean nothing. They are a function of --seed alone. With `--hostile`, every
text that comes from outside holds markup.
"""
import argparse
import itertools
import json
import math
import pathlib
import random
import re
import sqlite3

SOURCE = pathlib.Path(__file__).resolve().parents[2] / 'src' / 'store'
RULES = {'attention': 0, 'deltanet': .45, 'gated_deltanet': .6, 'kda': .7, 'mamba2': .3, 'mdn': .8}
STATES = [32 << 10, 64 << 10, 128 << 10, 1 << 20]
LAGS = [16, 32, 64, 128, 256, 512, 1024]
VALUES = 64


def create(file):
    connection = sqlite3.connect(file)
    versions = [SOURCE / 'schema.sql', *sorted(SOURCE.glob('schema_*.sql'))]
    for script in versions:
        connection.executescript(script.read_text())
    connection.execute('pragma journal_mode = wal')
    connection.execute(f'pragma application_id = {0x6d646e6c}')
    connection.execute(f'pragma user_version = {len(versions)}')
    return connection


class Filler:
    def __init__(self, connection, arguments):
        self.sql = connection
        self.random = random.Random(arguments.seed)
        self.evil = '<script>document.body.remove()</script>"\'&|`' if arguments.hostile else ''
        self.steps_told = max(4, arguments.metrics // (arguments.runs * 5))
        self.items = arguments.items
        connection.execute("insert into machine values (1, 'host', 'Debian 12', 'a CPU', 2, 8192, 'NVIDIA H200', 1,"
                           " 143771, '580')")
        connection.execute("insert into build values (1, '0.1.0', 'abc', '2.11.0', 'g++ 12')")

    def run(self, index, sweep, rule, task, seed, state_bytes, lr, context):
        diverged = rule == 'deltanet' and lr > 2e-3 and seed == 2
        failed = rule == 'mamba2' and seed == 3 and state_bytes == STATES[0]
        state = 'diverged' if diverged else 'failed' if failed else 'done'
        step = 700 if diverged or failed else 1000
        config = {'schema': 1, 'name': sweep + self.evil, 'rule': {'name': rule},
                  'model': {'hidden_size': 128, 'num_hidden_layers': 2, 'num_heads': 2, 'head_dim': state_bytes >> 10}, 'task': {'name': task},
                  'train': {'batch_size': 8, 'seq_len': context, 'steps': 1000, 'lr': lr, 'seed': seed}}
        yaml = '\n'.join(f'{key}: ' + re.sub(r'"(\w+)":', r'\1:', json.dumps(value)) for key, value in config.items()) + '\n'
        error = {'diverged': f'the loss is not finite since step 690, first in layer 1{self.evil}',
                 'failed': f'out of memory{self.evil}', 'done': None}[state]
        key = f'{index:012x}{self.random.getrandbits(200):052x}'[:64]
        cursor = self.sql.execute(
            'insert into run (key, name, rule, task, seed, state, step, steps, error, device_kind, parameters,'
            ' state_bytes, tokens_per_step, config_json, config_yaml, started_at, ended_at, machine_id, build_id)'
            " values (?, ?, ?, ?, ?, ?, ?, 1000, ?, 'cuda', ?, ?, 8192, ?, ?, '2026-01-01T00:00:00.000Z',"
            " '2026-01-01T01:00:00.000Z', 1, 1)",
            (key, f'{rule} {lr} {seed}{self.evil}', rule, task, seed, state, step, error, 400_000 + 1000 * len(rule),
             state_bytes, json.dumps(config), yaml))
        run = cursor.lastrowid
        self.sql.execute('insert into sweep values (?, ?)', (run, sweep + self.evil))
        self.curves(run, rule, lr, step, diverged)
        return run if state == 'done' else None

    def curves(self, run, rule, lr, step, diverged):
        floor = 1.6 - .3 * RULES[rule] + 40 * (lr - 2e-3) ** 2 * 1e3
        rows = []
        for place in range(1, self.steps_told + 1):
            at = max(1, step * place // self.steps_told) if self.steps_told <= step else place
            loss = floor + 4 * math.exp(-3 * place / self.steps_told) + self.random.gauss(0, .05)
            if diverged and place > .9 * self.steps_told:
                loss = None
            rows += [(run, at, 'train/loss', loss), (run, at, 'train/grad_norm', self.random.random()),
                     (run, at, 'train/learning_rate', lr), (run, at, 'train/peak_memory_mib', 30000.),
                     (run, at, 'train/tokens_per_second', self.random.gauss(150e3, 2e3))]
        rows += [(run, step * part // 10, 'valid/loss', floor + 4 * math.exp(-.3 * part)) for part in range(1, 11)]
        self.sql.executemany('insert or replace into metric values (?, ?, ?, ?)', rows)

    def score(self, run, task, metric, answers, length=None, depth=None, **settings):
        mean = sum(answers) / len(answers)
        deviation = math.sqrt(sum((v - mean) ** 2 for v in answers) / max(1, len(answers) - 1))
        cursor = self.sql.execute(
            'insert into evaluation (run_id, step, task, metric, length, depth, n, value, stderr, settings_json)'
            ' values (?, 1000, ?, ?, ?, ?, ?, ?, ?, ?)',
            (run, task, metric, length, depth, len(answers), mean, deviation / math.sqrt(len(answers)),
             json.dumps(settings, sort_keys=True, separators=(',', ':'))))
        self.sql.executemany('insert into evaluation_item (evaluation_id, item, value) values (?, ?, ?)',
                             [(cursor.lastrowid, i, v) for i, v in enumerate(answers)])

    def coins(self, p):
        return [float(self.random.random() < p) for _ in range(self.items)]

    def retention(self, run, rule, state_bytes, context):
        entropy = math.log2(VALUES)
        skill = 1 if rule == 'attention' else RULES[rule] + .08 * math.log2(state_bytes / 65536)
        for lag, writes in itertools.product([lag for lag in LAGS if lag <= context], [0, 8, 32]):
            keep = 1 if rule == 'attention' else math.exp(-lag / (60 * 4 ** (2 * skill))) / (1 + writes * (1 - skill) / 40)
            bits = [min(entropy, max(-1, self.random.gauss(entropy * min(.98, keep), .8))) for _ in range(self.items)]
            self.score(run, 'retention', 'information_bits', bits, context, lag=lag, writes=writes, values=VALUES,
                       seed=1)
        for lag in LAGS:
            self.score(run, 'retention', 'overwrite_bits', [self.random.gauss(entropy * skill / 2, 1) for _ in range(self.items)],
                       context, lag=lag, values=VALUES, seed=1)
            if rule != 'attention':
                self.score(run, 'influence', 'influence', [math.exp(-lag / 90 / (1 + skill)) * self.random.uniform(.8, 1.2)],
                           context, lag=lag)
        for pairs in [4, 8, 16, 32, 64]:
            self.score(run, 'retention', 'recall', self.coins(1 / (1 + (pairs / (8 + 60 * skill)) ** 3)), context,
                       pairs=pairs, seed=1)

    def text(self, run, rule, context):
        for factor in [1, 4]:
            bits = 2.2 - .2 * RULES[rule] + .1 * factor * (1 - RULES[rule]) + self.random.gauss(0, .01)
            self.score(run, 'text', 'bits_per_byte', [bits], factor * context, length_factor=factor, split='test')
        for part in range(8):
            rise = (part > 0) * part * (1 - RULES[rule]) * .3
            self.score(run, 'text', 'perplexity', [6 - RULES[rule] - .3 * min(part, 1) + rise + self.random.gauss(0, .05)],
                       8 * context, length_factor=8, split='test', position_from=part * context,
                       position_to=(part + 1) * context)

    def needle(self, run, rule):
        for variant, (i, length), depth in itertools.product(['s-niah-1', 's-niah-2'],
                                                            enumerate([512, 1024, 2048, 4096, 8192]), range(0, 11, 2)):
            p = 1 if rule == 'attention' else min(1, max(0, RULES[rule] + .5 - .15 * i + .03 * depth - .2 * (variant[-1] == '2')))
            self.score(run, 'needle', 'accuracy', self.coins(p), length, depth / 10, variant=variant + self.evil, seed=42)

    def mqar(self, run, rule):
        for pairs in [4, 16, 64]:
            p = 1 if rule == 'attention' else max(.02, min(.99, .4 + RULES[rule] - pairs / 150))
            self.score(run, 'mqar', 'accuracy', self.coins(p), 64, pairs=pairs, chance=1 / 32, seed=1)

    def bench(self):
        for rule, tokens, direction in itertools.product(['mdn', 'gated_deltanet', 'kda'], [4096, 16384], ['fwd', 'fwd+bwd']):
            heads, value = (6, 256) if rule == 'mdn' else (16, 128)
            ms = (.4 + .1 * (tokens > 4096)) * (4 if direction != 'fwd' else 1) * (2 if rule == 'kda' else 1)
            self.sql.execute(
                'insert into bench (rule, device, dtype, batch, tokens, heads, key_width, value_width, direction,'
                ' median_ms, spread_ms, peak_mib, tokens_per_second, machine_id, build_id, settings_json)'
                " values (?, 'cuda', 'bf16', ?, ?, ?, 128, ?, ?, ?, ?, 600, ?, 1, 1, '{}')",
                (rule, 32768 // tokens, tokens, heads, value, direction, ms, ms * .02, 32768 / ms * 1e3))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('file')
    parser.add_argument('--runs', type=int, default=60)
    parser.add_argument('--metrics', type=int, default=30_000)
    parser.add_argument('--items', type=int, default=40)
    parser.add_argument('--seed', type=int, default=1)
    parser.add_argument('--hostile', action='store_true')
    parser.add_argument('--empty', action='store_true')
    arguments = parser.parse_args()
    connection = create(arguments.file)
    if arguments.empty:
        connection.close()
        return
    filler = Filler(connection, arguments)
    grid = list(itertools.product([1e-3, 3e-3], [1, 2, 3, 4, 5], STATES[:3], RULES))
    for index in range(arguments.runs):
        lr, seed, state_bytes, rule = grid[index % len(grid)]
        # Past the grid's end, a further sweep; a small database has every score of every run.
        task = ['retention', 'text', 'mqar'][index // len(grid) % 3]
        sweep = f'{task}-{index // len(grid) + 1}'
        run = filler.run(index, sweep, rule, task, seed, state_bytes, lr, 1024)
        if run is None:
            continue
        if task == 'retention':
            filler.retention(run, rule, state_bytes, 1024)
        if task == 'text' or arguments.runs <= 200:
            filler.text(run, rule, 256)
        if task == 'mqar' or arguments.runs <= 200:
            filler.mqar(run, rule)
            filler.needle(run, rule)
    filler.bench()
    filler.sql.commit()
    filler.sql.close()


if __name__ == '__main__':
    main()
