"""A run that is killed and continued must end in the same bytes as an undisturbed one.

Runs the smoke recipe once undisturbed, then once per way of dying: signal 9 inside each stage, in a datatrove
worker, in the middle of a checkpoint's files and just before a rename; Ctrl-C (signal 2 to all of its processes, as a
terminal sends it) with two corpus workers and in training. Five seconds after each death no process of the run may be
left. Ctrl-C has to end all of them within ten seconds, which leaves time for a busy machine (two is the aim; the
seconds are printed), and to say how to go on. Then the run is finished and its files are compared.

    python .ci/kills.py [name of a death …]
"""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

from smollm_nb.files import folder_hashes, project_root
from smollm_nb.run import STAGES as run_stages
from smollm_nb.stages import partial_folder

STAGES = tuple(s.name for s in run_stages)
INTERRUPTS = {'interrupt corpus': 'corpus', 'interrupt training': 'checkpoints'} # death -> stage
SLOWEST = 10 # seconds that Ctrl-C may take
RUN = [sys.executable, '-c', 'from smollm_nb.cli import entry; entry()']
FATAL = '''
import os, signal, sys
class Fatal:
    def __init__(self, real, n): self.real, self.n = real, n
    def __call__(self, *a, **k):
        self.n -= 1
        if self.n == 0: os.kill(os.getpid(), signal.SIGKILL)
        return self.real(*a, **k)
from smollm_nb import cli
{patch}
sys.exit(cli.main(sys.argv[1:]))
'''
PATCHES = {
    'checkpoint write': (
        'from smollm_nb.training import checkpoints; checkpoints.save_file = Fatal(checkpoints.save_file, 4)'
    ),
    'checkpoint rename': (
        'from smollm_nb import files; real = files.os.rename; files.os.rename = lambda a, b: (Fatal(real, 1) if'
        ' "step-0000040" in str(b) else real)(a, b)'
    ),
    'stage rename': (
        'from smollm_nb import stages; real = stages.os.rename; stages.os.rename = lambda a, b: (Fatal(real, 1) if'
        ' str(b).endswith("tokens") else real)(a, b)'
    ),
}


def arguments(folder, settings): return ['run', 'smoke', '--quiet', '--runs', str(folder), '--settings', str(settings)]


def result(folder):
    "What must be equal: everything but manifests and logs, which hold times."
    run = folder/'smoke'
    return {
        f'{s}/{n}': h
        for s in STAGES
        for n, h in folder_hashes(run / s).items()
        if n not in ('manifest.json', 'train.jsonl') and not n.startswith('tensorboard/')
    }


def family(process):
    try:
        return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return [process]


def left_over(marker):
    "Processes whose environment or arguments carry the run's marker."
    found = []
    for p in psutil.process_iter():
        try:
            if p.environ().get('KILLS_MARKER') == marker and p.status() != psutil.STATUS_ZOMBIE:
                found.append(p)
        except psutil.Error:
            pass
    return found


def start(command, marker):
    return subprocess.Popen(
        command, env=os.environ | {'KILLS_MARKER': marker}, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        text=True, start_new_session=True
    )


def wait_for(path, process, seconds=240):
    end = time.time() + seconds
    while not path.exists():
        if process.poll() is not None or time.time() > end:
            raise SystemExit(f'{path} never appeared: {process.stderr.read()[-2000:]}')
        time.sleep(0.005)


def workers_of(process, seconds=120):
    "The datatrove workers, once there are some."
    end = time.time() + seconds
    while time.time() < end:
        workers = [c for c in family(psutil.Process(process.pid))[1:] if 'spawn_main' in ' '.join(c.cmdline())]
        if workers:
            return workers
        time.sleep(0.01)
    raise SystemExit('no worker process ever appeared')


def interrupt(stage, folder, settings, marker):
    "Start the run and press Ctrl-C in a stage; returns the exit code, or what was wrong."
    p = start([*RUN, *arguments(folder, settings)], marker)
    partial = partial_folder(folder/'smoke', stage)
    wait_for(partial, p)
    if stage == 'corpus':
        workers_of(p)
    else:
        while not list(partial.glob('step-*')):
            time.sleep(0.01)
    time.sleep(random.uniform(0, 2))
    begun = time.perf_counter()
    os.killpg(p.pid, signal.SIGINT)
    while left_over(marker) and time.perf_counter() - begun < 60:
        time.sleep(0.05)
    took, said = time.perf_counter() - begun, p.communicate(timeout=60)[1]
    print(f'Ctrl-C in {stage}: all processes ended after {took:.1f} s; {said.strip().splitlines()[-1:]}', flush=True)
    if took > SLOWEST:
        return f'Ctrl-C took {took:.1f} s'
    return p.returncode if 'interrupted' in said else f'Ctrl-C did not say how to go on: {said[-300:]}'


def die(death, folder, settings, seconds, marker):
    "Start the run and end it as `death` says."
    if death in INTERRUPTS:
        return interrupt(INTERRUPTS[death], folder, settings, marker)
    if death in PATCHES:
        p = start([sys.executable, '-c', FATAL.format(patch=PATCHES[death]), *arguments(folder, settings)], marker)
        return p.wait(timeout=600)
    p = start([*RUN, *arguments(folder, settings)], marker)
    if death == 'datatrove worker':
        wait_for(partial_folder(folder/'smoke', 'corpus'), p)
        workers = workers_of(p)
        time.sleep(random.uniform(0.5, 3))
        os.kill(random.choice(workers).pid, signal.SIGKILL)
        return p.wait(timeout=300)
    wait_for(partial_folder(folder/'smoke', death), p)
    time.sleep(random.uniform(0, 0.9)*seconds[death])
    os.kill(p.pid, signal.SIGKILL)
    return p.wait(timeout=60)


def main(wanted):
    seed = int.from_bytes(os.urandom(4), 'big')
    random.seed(seed)
    print(f'seed {seed}', flush=True)
    base = Path(tempfile.mkdtemp(prefix='kills-'))
    failures = []
    settings, parallel = base/'settings.ini', base/'parallel.ini'
    shutil.copy(project_root()/'settings.ini', settings)
    parallel.write_text(settings.read_text().replace('[smoke]\n', '[smoke]\nworkers = 2\n'))
    begun = time.time()
    subprocess.run([*RUN, *arguments(base/'quiet', settings)], check=True, stdout=subprocess.DEVNULL)
    seconds = {s: json.loads((base/'quiet'/'smoke'/s/'manifest.json').read_text())['seconds'] for s in STAGES}
    expected = result(base/'quiet')
    print(f'undisturbed: {len(expected)} files, {time.time() - begun:.0f} s', flush=True)
    for death in (*STAGES, *PATCHES, 'datatrove worker', *INTERRUPTS):
        if wanted and death not in wanted:
            continue
        folder = base/death.replace(' ', '-')
        marker = death + str(seed)
        ini = parallel if death in ('datatrove worker', *INTERRUPTS) else settings
        code = die(death, folder, ini, seconds, marker)
        time.sleep(5)
        left = left_over(marker)
        for p in left:
            p.kill()
        finish = subprocess.run([*RUN, *arguments(folder, ini)], capture_output=True, text=True)
        got = result(folder) if finish.returncode == 0 else {}
        differ = [n for n in expected.keys() | got.keys() if expected.get(n) != got.get(n)]
        ok = isinstance(code, int) and code != 0 and not left and not differ
        print(
            f'{death}: ended with {code}, {len(left)} processes left after 5 s, {len(differ)} files differ {differ[:4]}'
            f' {finish.stderr[-300:]}',
            flush=True,
        )
        if not ok:
            failures.append(death)
        shutil.rmtree(folder, ignore_errors=True)
    shutil.rmtree(base, ignore_errors=True)
    sys.exit(f'failed: {failures}' if failures else 0)


if __name__ == '__main__':
    main(sys.argv[1:])
