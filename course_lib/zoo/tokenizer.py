"""The course tokenizer: byte-level BPE with 4,096 entries, digits apart, and the chat tokens."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from course_lib.zoo.corpus import documents
from course_lib.zoo.corpus.chat import BEGIN, CHAT_TEMPLATE, END, SPECIAL_TOKENS
from course_lib.zoo.corpus.world import cities
from course_lib.zoo.recipe import GENERAL

if TYPE_CHECKING:
    from pathlib import Path

    from transformers import PreTrainedTokenizerFast

VOCABULARY_SIZE = 4096
TEXTS_PER_KIND = 3000


def train_tokenizer(folder: Path, vocabulary_size: int = VOCABULARY_SIZE) -> None:
    """Learn the merges on training texts of every kind and save a Hugging Face tokenizer to
    ``folder``.

    Byte-level: every string can be written, none needs an unknown token. Each digit is a token of
    its own,
    so that 4831 is read digit by digit, as arithmetic is done.
    """
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary_size,
        special_tokens=list(SPECIAL_TOKENS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    texts = [d.text for kind in GENERAL for d in islice(documents(kind, "train"), TEXTS_PER_KIND)]
    texts += [city.profile() for city in cities()]
    bpe.train_from_iterator(texts, trainer)
    begin_id = bpe.token_to_id(BEGIN)
    bpe.post_processor = processors.TemplateProcessing(
        single=f"{BEGIN} $A", special_tokens=[(BEGIN, begin_id)]
    )
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=bpe,
        bos_token=BEGIN,
        eos_token=END,
        pad_token="<|pad|>",  # noqa: S106
        padding_side="left",
        model_max_length=1024,
        clean_up_tokenization_spaces=False,
    )
    tokenizer.chat_template = CHAT_TEMPLATE
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save_pretrained(folder)


def load_tokenizer(folder: Path) -> PreTrainedTokenizerFast:
    """The tokenizer saved in a model folder."""
    from transformers import PreTrainedTokenizerFast

    loaded: PreTrainedTokenizerFast = PreTrainedTokenizerFast.from_pretrained(folder)
    return loaded
