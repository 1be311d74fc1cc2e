"""Ten kills in two hundred steps: a training that dies again and again must end in the bytes of one that lived.

Trains the smoke recipe's model on made-up tokens, once undisturbed and once with signal 9 at ten random moments (a
random step of the log, then a random fraction of a second, so that steps, checkpoint writes and start-ups are all
hit). The seed and the moments are printed; a seed given as argument repeats them as far as timing allows.

    python .ci/train_kills.py [seed]
"""
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


def child(out):
    import torch

    from smollm_nb.settings import load_recipe
    from smollm_nb.training import train

    class Rows:
        def __init__(self, vocab_size, seq_len): self.vocab_size, self.seq_len = vocab_size, seq_len
        def batch(self, step, batch_size):
            g = torch.Generator().manual_seed(step)
            start, by = torch.randint(self.vocab_size, (batch_size, 1), generator=g), torch.randint(1, 9, (batch_size, 1), generator=g)
            return (start + by*torch.arange(self.seq_len + 1)) % self.vocab_size

    smoke = load_recipe('smoke')
    t = replace(smoke.training, train_steps=STEPS, log_every=1)
    train(replace(smoke, training=t), Rows(smoke.tokenizer.vocab_size, t.seq_len), out, smoke.tokenizer.vocab_size, progress=False)


def start(out): return subprocess.Popen([sys.executable, __file__, '--child', str(out)], stderr=subprocess.PIPE, text=True)


def last_step(out):
    "The last whole line's step; 0 if there is none."
    from smollm_nb.training import read_log
    try: return read_log(out/'train.jsonl')[-1]['step']
    except IndexError: return 0


def kill_at(out, step, seconds):
    "Start training and end it when its log has come to `step`, some moments later; how it ended and where."
    p, end = start(out), time.time() + SECONDS
    while last_step(out) < step and p.poll() is None and time.time() < end: time.sleep(0.002)
    time.sleep(seconds)
    p.kill()
    return p.wait(), last_step(out), p.stderr.read()


def finish(out):
    p = start(out)
    errors = p.communicate(timeout=SECONDS)[1]
    if p.returncode: raise SystemExit(f'training failed: {errors[-2000:]}')


def main(seed):
    from smollm_nb.files import folder_hashes
    random.seed(seed); print(f'seed {seed}', flush=True)
    moments = [(step, random.uniform(0, 0.1)) for step in sorted(random.sample(range(STEPS - 10), KILLS))]
    base, failed = Path(tempfile.mkdtemp(prefix='train-kills-')), []
    try:
        finish(base/'quiet')
        for step, seconds in moments:
            code, reached, errors = kill_at(base/'killed', step, seconds)
            print(f'killed {1000*seconds:.0f} ms after step {step} was logged: the log had come to step {reached}', flush=True)
            if code != -9: failed.append(f'ended by itself with {code}: {errors[-500:]}')
        finish(base/'killed')
        quiet, killed = (folder_hashes(base/name/f'step-{STEPS:07d}') for name in ('quiet', 'killed'))
        failed += [f'{n} differs' for n in quiet.keys() | killed.keys() if quiet.get(n) != killed.get(n)]
        print(f'{len(quiet)} files of the final checkpoint compared: {", ".join(sorted(quiet))}')
    finally: shutil.rmtree(base, ignore_errors=True)
    sys.exit(f'failed: {failed}' if failed else 0)


if __name__ == '__main__':
    if sys.argv[1:2] == ['--child']: child(sys.argv[2])
    else: main(int(sys.argv[1]) if sys.argv[1:] else int.from_bytes(os.urandom(4), 'big'))
