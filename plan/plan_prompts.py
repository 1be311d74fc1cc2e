import random
from dataclasses import asdict
from collections import Counter
from smollm_nb.corpus.clusters import NOISE, cluster_names, dbscan, project
from smollm_nb.corpus.cosmopedia import Prompt, build_prompt, outline_prompt, plan_prompts, styles
from smollm_nb.corpus.fineweb_edu import Encoder, scored_pages
from smollm_nb.corpus.search import TopicIndex, cut_passages
from smollm_nb.corpus.topics import load_topics, choose_topics
from smollm_nb.files import read_jsonl, samples, write_jsonl
N, SEED = 192, 42
subjects = list(read_jsonl(samples('topics','laptop.jsonl')))
pages = [p for p in scored_pages() if p.get('language','en')=='en' and len(p['text'].split())>=40 ]
print(len(pages), 'pages')
worth = {p['file'] for p in pages if p['score'] >= 2}
index = TopicIndex.build((p['file'], p['text']) for p in pages if p['file'] in worth)
# searched: the topics for which search finds the most
topics = load_topics()
best = sorted(((h.score, t) for t in topics for h in index.search(t, 1)), key=lambda x: (-x[0], x[1].topic))
chosen = []
for s,t in best:
    chosen.append(t)
    if len(chosen)==N: break
print('scores', best[0][0], best[N-1][0], len(best))
searched = plan_prompts(chosen, index, SEED, N, pages=1)
print('pages used', len({p.seed_data for p in searched}))
# clustered
vectors = Encoder().embed([p['text'] for p in pages])
labels = dbscan(project(vectors), .25, 4)
names = cluster_names([p['text'] for p in pages], labels)
inside = [(p, names[l]) for p, l in zip(pages, labels.tolist()) if l != NOISE and p['file'] in worth]
print(len(names), 'clusters', len(inside), 'pages')
order = [x for k in range(-(-N//len(inside))) for x in random.Random(SEED + k).sample(inside, len(inside))][:N]
clustered = [Prompt(build_prompt(p['text'], name if i % 2 else None, a, f), a, f, f"cluster: {name}; page: {p['file']}")
             for i, ((p, name), (a, f)) in enumerate(zip(order, styles(N, SEED)))]
units = list(read_jsonl(samples('seeds', 'textbook_units.jsonl')))
courses = list(read_jsonl(samples('seeds', 'course_outlines.jsonl')))
outlines = [(c, k) for c in courses for k in range(len(c['units']))]
shuffled = lambda xs, n: [x for k in range(-(-n//len(xs))) for x in random.Random(SEED + k).sample(xs, len(xs))][:n]
curated = []
for i, ((a, f), u, (c, k)) in enumerate(zip(styles(N, SEED), [u for u in shuffled(units, N//2) for _ in (0, 1)], [o for o in shuffled(outlines, N//2) for _ in (0, 1)])):
    if i % 2:
        curated.append(Prompt(build_prompt(u['extract'], u['unit'], a, f), a, f, f"unit: {u['unit']}"))
    else:
        curated.append(Prompt(outline_prompt(c, k, a, f), a, f, f"course: {c['course']}; unit: {c['units'][k]['unit']}"))
M = 2*N
named = [s for k in range(-(-M//len(subjects))) for s in random.Random(SEED + k).sample(subjects, len(subjects))][:M]
invented = [Prompt(build_prompt('', s['topic'], a, f).split('\n\n', 1)[1].strip(), a, f, f"subject: {s['subject']}")
            for s, (a, f) in zip(named, styles(M, SEED))]
plans = dict(searched=searched, clustered=clustered, curated=curated, invented=invented)
for k, v in plans.items():
    print(k, len(v), Counter(p.audience for p in v)); print(v[0].prompt[:700]); print('...')
write_jsonl('made/plans.jsonl.zst', [dict(kind=k, **asdict(p)) for k, v in plans.items() for p in v])
