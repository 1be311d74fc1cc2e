"The box of the report that looks texts up, in a browser, against the index that the command uses."
import random
from types import SimpleNamespace

from jinja2 import Environment

from smollm_nb import report
from smollm_nb.corpus.subjects import load_pieces
from smollm_nb.evaluation.trace import COLOURS, TrainingIndex, trace, write_index
from test_site import ROOT


def pasted(texts, rng):
    "A text made of passages of others."
    parts = []
    for text in rng.sample(texts, 3):
        words = text.split()
        at = rng.randrange(len(words))
        parts += words[at:at + rng.randrange(2, 15)]
    return ' '.join(parts)


def test_lookup(browser, tmp_path):
    texts = [p.text for p in load_pieces()[::12]]
    texts += ['Cafe\u0301 au lait, s\u2019il vous pla\u00eet, for two 😀 people', '<b>x</b> & y', texts[0]]
    documents = [(f'd/{i}', 'texts', t) for i, t in enumerate(texts)]
    write_index(documents, tmp_path/'index.sqlite')
    index, script = TrainingIndex(tmp_path/'index.sqlite'), report.texts_script(documents)
    (tmp_path/'report_texts.js').write_text(script)
    answer = 'Caf\u00e9 au lait, s\u2019il vous pla\u00eet, for two 😀 people'
    summary = SimpleNamespace(recipe='test', answers=[dict(answer=answer)])
    template = Environment(autoescape=True).from_string(report._STYLE + report._LOOKUP + '</main></body></html>')
    page_text = template.render(s=summary, lookup=len(script), colours=COLOURS)
    (tmp_path/'report.html').write_text(page_text)
    page, errors = browser.new_page(), []
    page.on('pageerror', lambda e: errors.append(str(e)))
    page.on('console', lambda m: errors.append(m.text) if m.type == 'error' else None)
    page.goto((tmp_path/'report.html').as_uri())
    page.keyboard.press('Tab')
    page.get_by_role('button', name='Look it up').click()
    page.wait_for_selector('#found mark')
    assert page.locator('#found mark').first.text_content() == answer
    rng = random.Random(0)
    for text in [answer, 'nothing of it', '', *(pasted(texts, rng) for _ in range(30))]:
        found = page.evaluate('t => lookUp(t, window.texts)', text)
        expected = trace(index, text)
        assert [(s['n'], s['documents'], [d[0][1] for d in s['sources']]) for s in found] == \
            [(s.words, s.documents, [d.id for d in s.sources]) for s in expected.spans], text
        if text.isascii():
            assert [(s['start'], s['end']) for s in found] == [(s.start, s.end) for s in expected.spans], text
    page.fill('#text', '<b>x</b> & y')
    page.keyboard.press('Tab')
    page.keyboard.press('Enter')
    # marked from the first word to the last; while it looks there is no mark
    page.wait_for_function("document.querySelector('#found mark')?.textContent === 'b>x</b> & y'")
    assert page.locator('#found b').count() == 0
    page.fill('#text', 'nothing of it')
    page.keyboard.press('Tab')
    page.keyboard.press('Enter')
    page.wait_for_function("document.getElementById('found').textContent.includes('No passage')")
    page.add_script_tag(path=ROOT/'docs'/'_tools'/'axe.min.js')
    assert not [v['id'] for v in page.evaluate('axe.run()')['violations'] if v['impact'] in ('serious', 'critical')]
    page.close()
    (tmp_path/'report_texts.js').unlink()
    page = browser.new_page()
    page.goto((tmp_path/'report.html').as_uri())
    page.get_by_role('button', name='Look it up').click()
    page.wait_for_function("document.getElementById('found').textContent.includes('is not beside this page')")
    page.close()
    assert not errors
