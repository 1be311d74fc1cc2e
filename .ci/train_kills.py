"""Ten kills in two hundred steps: a training that dies again and again must end in the bytes of one that lived.

Trains the smoke recipe's model on made-up tokens, once undisturbed and once with signal 9 at ten random moments (a
random step of the log, then a random fraction of a second, so that steps, checkpoint writes and start-ups are all
hit). The seed and the moments are printed; a seed given as argument repeats them as far as timing allows.

With `--changes` each of the ten starts also has another interval of the log, another number of threads and
checkpoints that name another patch version of torch. Then the last digits may differ, but each start must go on from
the last checkpoint and say what has changed, and the end must be the same to a thousandth of the loss.

    python .ci/train_kills.py [--changes] [seed]
"""
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

STEPS, KILLS, SECONDS = 200, 10, 300


def child(out, log_every=1, threads=1):
    import torch

    from smollm_nb.settings import load_recipe
    from smollm_nb.training import train

    class Rows:
        def __init__(self, vocab_size, seq_len): self.vocab_size, self.seq_len = vocab_size, seq_len
        def batch(self, step, batch_size, rank=0, size=1):
            g = torch.Generator().manual_seed(step)
            start = torch.randint(self.vocab_size, (batch_size, 1), generator=g)
            by = torch.randint(1, 9, (batch_size, 1), generator=g)
            rows = (start + by*torch.arange(self.seq_len + 1)) % self.vocab_size
            return rows[rank*batch_size//size:(rank + 1)*batch_size//size]

    smoke = load_recipe('smoke')
    t = replace(smoke.training, train_steps=STEPS, log_every=log_every)
    train(
        replace(smoke, training=t, threads=threads), Rows(smoke.tokenizer.vocab_size, t.seq_len), out,
        smoke.tokenizer.vocab_size, progress=False
    )


def start(out, *changes):
    command = [sys.executable, __file__, '--child', str(out), *map(str, changes)]
    # threads that wait on a busy machine would take the cores from those that work
    quiet = os.environ | dict(OMP_WAIT_POLICY='passive')
    return subprocess.Popen(command, env=quiet, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def last_step(out):
    "The last whole line's step; 0 if there is none."
    from smollm_nb.training import read_log
    try:
        return read_log(out/'train.jsonl')[-1]['step']
    except IndexError:
        return 0


def kill_at(out, step, seconds):
    "Start training and end it when its log has come to `step`, some moments later; how it ended and where."
    p, end = start(out), time.time() + SECONDS
    while last_step(out) < step and p.poll() is None and time.time() < end:
        time.sleep(0.002)
    time.sleep(seconds)
    p.kill()
    return p.wait(), last_step(out), p.stderr.read()


def finish(out):
    p = start(out)
    errors = p.communicate(timeout=SECONDS)[1]
    if p.returncode:
        raise SystemExit(f'training failed: {errors[-2000:]}')


def age(out, version):
    "Let the last checkpoint name another version of torch; its state, or step 0 if there is none."
    from smollm_nb.training import latest_checkpoint
    last = latest_checkpoint(out)
    if last is None:
        return dict(step=0)
    state = json.loads((last/'state.json').read_text())
    (last/'state.json').write_text(json.dumps(state | dict(torch=version)))
    return state


def loss_at_end(out):
    from smollm_nb.training import read_log
    return read_log(out/'train.jsonl')[-1]['loss']


def first_logged(out, before):
    "First step that was logged after a start from the checkpoint of step `before`."
    from smollm_nb.training import read_log
    return min((r['step'] for r in read_log(out/'train.jsonl') if r['step'] > before), default=None)


def changes(seed):
    "Kill and go on, each time under other circumstances that may not stop training."
    random.seed(seed)
    print(f'seed {seed}', flush=True)
    base, failed = Path(tempfile.mkdtemp(prefix='train-kills-')), []
    try:
        finish(base/'quiet')
        out = base/'killed'
        for i, upto in enumerate(sorted(random.sample(range(25, STEPS - 10), KILLS)), 1):
            every, threads = 1 + i % 3, 1 + i % 2
            state, p, end = age(out, f'2.0.{i}'), start(out, every, threads), time.time() + SECONDS
            while last_step(out) < upto and p.poll() is None and time.time() < end:
                time.sleep(0.002)
            p.kill()
            said = ''.join(p.communicate())
            step, first = state['step'], first_logged(out, state['step'])
            print(
                f'start {i}: log_every {every}, threads {threads}, torch 2.0.{i} in the checkpoint of step {step}:'
                f' killed after step {last_step(out)}, first logged step {first}',
                flush=True,
            )
            if p.returncode != -9:
                failed.append(f'start {i} ended by itself with {p.returncode}: {said[-500:]}')
            if first is None or first > step + every:
                failed.append(f'start {i} logged step {first} first, after a checkpoint of step {step}')
            expected = [f'2.0.{i}'] + (['threads'] if state.get('threads') not in (None, threads) else [])
            if step and not all(word in said for word in expected):
                failed.append(f'start {i} did not say what had changed: {said[-300:]}')
        finish(out)
        ends = [loss_at_end(base/n) for n in ('quiet', 'killed')]
        print(f'loss at the end: {ends[0]} undisturbed, {ends[1]} after changes')
        if abs(ends[0] - ends[1]) > 1e-3*ends[0]:
            failed.append(f'losses differ: {ends}')
    finally:
        shutil.rmtree(base, ignore_errors=True)
    sys.exit(f'failed: {failed}' if failed else 0)


def main(seed):
    from smollm_nb.files import folder_hashes
    random.seed(seed)
    print(f'seed {seed}', flush=True)
    moments = [(step, random.uniform(0, 0.1)) for step in sorted(random.sample(range(STEPS - 10), KILLS))]
    base, failed = Path(tempfile.mkdtemp(prefix='train-kills-')), []
    try:
        finish(base/'quiet')
        for step, seconds in moments:
            code, reached, errors = kill_at(base/'killed', step, seconds)
            print(
                f'killed {1000*seconds:.0f} ms after step {step} was logged: the log had come to step {reached}',
                flush=True,
            )
            if code != -9:
                failed.append(f'ended by itself with {code}: {errors[-500:]}')
        finish(base/'killed')
        quiet, killed = (folder_hashes(base/name/f'step-{STEPS:07d}') for name in ('quiet', 'killed'))
        failed += [f'{n} differs' for n in quiet.keys() | killed.keys() if quiet.get(n) != killed.get(n)]
        print(f'{len(quiet)} files of the final checkpoint compared: {", ".join(sorted(quiet))}')
    finally:
        shutil.rmtree(base, ignore_errors=True)
    sys.exit(f'failed: {failed}' if failed else 0)


if __name__ == '__main__':
    words = sys.argv[1:]
    if words[:1] == ['--child']:
        child(words[1], *map(int, words[2:]))
    else:
        mode = changes if words[:1] == ['--changes'] else main
        seeds = [int(w) for w in words if w != '--changes']
        mode(seeds[0] if seeds else int.from_bytes(os.urandom(4), 'big'))
