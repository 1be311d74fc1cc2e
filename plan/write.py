import sys, time, torch
torch.set_num_threads(1)
from smollm_nb.corpus.cosmopedia import Prompt
from smollm_nb.corpus.writing import SMALL_WRITER, write_documents
from smollm_nb.files import read_jsonl
from smollm_nb.model import load_model
kind, n = sys.argv[1], int(sys.argv[2])
prompts = [Prompt(**{k: v for k, v in r.items() if k != 'kind'}) for r in read_jsonl('made/plans.jsonl.zst') if r['kind'] == kind][:n]
model, tokenizer = load_model('smollm2-135m-instruct')
t = time.time()
print(kind, write_documents(model.to(torch.bfloat16), tokenizer, prompts, f'made/{kind}{n}.jsonl', batch_size=32, seed=42, dropped_path=f'made/{kind}{n}.dropped.jsonl', **SMALL_WRITER), round(time.time()-t), flush=True)
