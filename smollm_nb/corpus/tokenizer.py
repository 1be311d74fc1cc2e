from tokenizers import Tokenizer as T, models, pre_tokenizers, decoders, trainers
from smollm_nb.model.tokenizer import *
from smollm_nb.model.tokenizer import SPECIAL_TOKENS
import json
def train_tokenizer(texts, vocab_size=49152):
    t=T(models.BPE()); t.pre_tokenizer=pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True),pre_tokenizers.ByteLevel(add_prefix_space=False)])
    t.train_from_iterator(texts, trainers.BpeTrainer(vocab_size=vocab_size,special_tokens=list(SPECIAL_TOKENS),initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),show_progress=False))
    d=json.loads(t.to_str())['model']
    return build_tokenizer(d['vocab'],[tuple(m) for m in d['merges']])
