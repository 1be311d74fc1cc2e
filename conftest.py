"One pytest item per notebook cell, using nbdev's own rules for which cells run."
import ctypes
import gc
import os
import sys

import pytest
from execnb.shell import CaptureShell
from fastcore.foundation import working_directory
from hypothesis import settings
from nbdev.config import get_config
from nbdev.test import nb_test_cells


settings.register_profile('ci', derandomize=True)   # CI repeats the same examples; a developer's run looks for new ones
if os.environ.get('CI'):
    settings.load_profile('ci')


class CellError(Exception):
    pass


def pytest_addoption(parser):
    parser.addoption('--nb-flags', default='', help='nbdev test flags to run as well, such as "slow"')


def pytest_collect_file(file_path, parent):
    if file_path.suffix == '.ipynb' and file_path.name[0] not in '_.' and '.ipynb_checkpoints' not in file_path.parts:
        return Notebook.from_parent(parent, path=file_path)


class Notebook(pytest.File):
    def collect(self):
        config = get_config(self.path.parent)
        skip = config.tst_flags.split() if isinstance(config.tst_flags, str) else config.tst_flags
        self.timeout, self.shell, self.ran = config.cell_timeout, None, 0
        cells = nb_test_cells(self.path, skip, self.config.getoption('--nb-flags').split())
        self.items = [Cell.from_parent(self, name=f'cell{c.idx_}-{c.id}', cell=c) for c in cells]
        return self.items

    def run_to(self, item):
        "Run each cell up to `item` once, so that -k and --lf work; cells after a failure are not run."
        if self.shell is None:
            self.shell = CaptureShell(self.path)
        for it in self.items[self.ran:self.items.index(item) + 1]:
            if self.shell.exc:
                pytest.fail('an earlier cell of this notebook failed', pytrace=False)
            self.ran += 1
            with working_directory(self.path.parent):
                self.shell.cell(it.cell, timeout=self.timeout)
            if self.shell.exc:
                raise CellError(f'{it.name}\n{it.cell.source}\n\n' + self.shell.prettytb(fname=self.path))

    def teardown(self):
        "Forget what the notebook made: IPython keeps its shells, and with them every model that a cell loaded."
        if self.shell is not None:
            self.shell.reset(new_session=False)
        self.shell, self.ran = None, 0
        gc.collect()
        if 'torch' in sys.modules: # the next notebook begins as it would alone
            sys.modules['torch'].set_num_threads(int(os.environ.get('OMP_NUM_THREADS', os.cpu_count())))
        give_back = getattr(ctypes.CDLL(None), 'malloc_trim', None) if os.name == 'posix' else None
        if give_back:    # glibc keeps freed blocks: after 427 a worker held 1.4 GB, of which 0.5 was in use
            give_back(0)


class Cell(pytest.Item):
    def __init__(self, *, cell, **kw):
        super().__init__(**kw)
        self.cell = cell

    def runtest(self):
        with pytest.MonkeyPatch.context() as m:
            m.setenv('IN_TEST', '1')
            self.parent.run_to(self)

    def repr_failure(self, excinfo):
        return str(excinfo.value) if excinfo.errisinstance(CellError) else super().repr_failure(excinfo)

    def reportinfo(self): return self.path, None, self.name
