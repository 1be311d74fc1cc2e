"README.md from nbs/index.ipynb: markdown and code as they stand, links as seen from the top of the project."
import re
from pathlib import Path
from posixpath import normpath

import nbformat
from nbconvert import MarkdownExporter

root = Path(__file__).resolve().parent.parent
front = nbformat.read(root/'nbs'/'index.ipynb', as_version=4)
front.cells = [c for c in front.cells if not c.source.startswith(('#| hide', '#| slow'))]
body, _ = MarkdownExporter().from_notebook_node(front)
body = re.sub(r'\]\((?!\w+:)([^)\s#]+\.(?:ipynb|md))', lambda m: '](' + normpath(f'nbs/{m[1]}'), body)
notice = '<!-- Made from nbs/index.ipynb by `make export`; edit that. -->\n'
(root/'README.md').write_text(notice + re.sub(r'\n{3,}', '\n\n', body).strip() + '\n')
