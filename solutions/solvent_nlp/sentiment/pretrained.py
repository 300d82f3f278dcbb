"""Pretrained encoders and their tokenizers, as KerasHub reads them."""

import hashlib
import io
import json
import tempfile
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np

from solvent import Refused, transfer

from .settings import Encoder
from .texts import BREAK

__all__ = ["backbone", "blank", "classifier", "encoded", "factors", "packed", "sha256", "tokenizer", "unpacked"]

INPUTS = ("token_ids", "padding_mask", "segment_ids")
CURE = (
    "Give the path of a folder that holds it (KerasHub's layout: config.json, model.weights.h5, ...; or Hugging "
    "Face's: config.json, model.safetensors, vocab.txt, ...), as in encoder: {preset: FOLDER}."
)


def backbone(about: Encoder) -> keras.Model:
    """The encoder with its weights.

    Raises:
        Refused: if it can't be had, or is no encoder of texts.
    """
    hub = _hub()
    found = _from(
        about.preset, lambda: hub.models.Backbone.from_preset(about.preset, dtype=keras.config.dtype_policy())
    )
    taken = set(found.input) if isinstance(found.input, Mapping) else set()
    decodes = any(isinstance(layer, hub.layers.TransformerDecoder) for layer in found.layers)
    # Without a mask the answer would depend on the padding.
    if not {"token_ids", "padding_mask"} <= taken <= set(INPUTS) or decodes:
        raise Refused(
            f"settings.encoder.preset: {about.preset} is a {type(found).__name__} with the inputs "
            f"{sorted(taken) or 'of no name'}: no encoder of texts. Use one of the kind of BERT, RoBERTa, DistilBERT, "
            "ELECTRA, ALBERT, DeBERTa or XLM-RoBERTa."
        )
    return found


def tokenizer(about: Encoder) -> Any:
    """The encoder's tokenizer.

    One that folds case takes accents off too, as the vocabularies of BERT are made; KerasHub leaves that off. Source:
    https://github.com/google-research/bert, tokenization.py, BasicTokenizer.
    """
    hub = _hub()
    found = _from(about.preset, lambda: hub.models.Tokenizer.from_preset(about.preset))
    if isinstance(found, hub.tokenizers.WordPieceTokenizer) and found.lowercase:
        found.strip_accents = True
    if found.start_token_id is None or found.end_token_id is None:
        raise Refused(
            f"settings.encoder.preset: the tokenizer of {about.preset} marks no start and end of a text. Use one of an "
            "encoder such as BERT or RoBERTa."
        )
    return found


def sha256(about: Encoder) -> str:
    """Of the encoder's weights and its tokenizer."""
    digest = hashlib.sha256(transfer.weights_hash(backbone(about)).encode())
    digest.update(packed(tokenizer(about)))
    return digest.hexdigest()


def packed(tokenizer: Any) -> bytes:
    """A tokenizer as one asset: its config and its files, zipped, the same bytes each time."""
    written = io.BytesIO()
    with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as archive:
        tokenizer.save_assets(folder)
        config = json.dumps(keras.saving.serialize_keras_object(tokenizer), sort_keys=True)
        for name, content in [(CONFIG, config.encode()), *((file.name, file.read_bytes()) for file in _files(folder))]:
            archive.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)
    return written.getvalue()


CONFIG = "tokenizer.json"


def unpacked(asset: bytes) -> Any:
    """The tokenizer that `packed` made an asset of."""
    _hub()
    with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(io.BytesIO(asset)) as archive:
        config = json.loads(archive.read(CONFIG))
        found = keras.saving.deserialize_keras_object(config)
        for name in archive.namelist():
            if name != CONFIG:
                (Path(folder) / Path(name).name).write_bytes(archive.read(name))
        found.load_assets(folder)
    return found


def encoded(tokenizer: Any, texts: Iterable[str]) -> list[np.ndarray]:
    """The tokens of each text, int32; between a text and a second one stands the mark of an end."""
    parts = [given.split(BREAK) for given in texts]
    flat = tokenizer([part for given in parts for part in given]) if parts else []
    tokens = iter([np.asarray(found, np.int32) for found in flat])
    end = np.array([tokenizer.end_token_id], np.int32)
    found = []
    for given in parts:
        pieces = [piece for _ in given for piece in (end, next(tokens))]
        found.append(np.concatenate(pieces[1:]))
    return found


def blank(tokenizer: Any) -> int:
    """The token that stands for a dropped one: the mask, where there is one."""
    masked = getattr(tokenizer, "mask_token_id", None)
    return int(tokenizer.pad_token_id if masked is None else masked)


def classifier(about: Encoder, dropout: float, classes: int, longest: int, padding: int, end: int) -> keras.Model:
    """The encoder, its tokens pooled, dropout, one dense layer: token ids `(texts, length)` -> logits.

    Args:
        longest: tokens in a window.
        padding, end: the tokens that mean this.
    """
    whole = backbone(about)
    room = getattr(whole, "max_sequence_length", None)
    if room is not None and longest > room:
        raise Refused(f"settings.windows.length: {about.preset} reads {room} tokens at once, not {longest}.")
    # What an encoder does for other tasks is left out.
    output = whole.output["sequence_output"] if isinstance(whole.output, Mapping) else whole.output
    encoder = keras.Model(whole.input, output, name="encoder")
    for layer in _below(encoder, about):
        layer.trainable = False
    tokens = keras.Input((None,), dtype="int32", name="token_ids")
    there = keras.ops.cast(keras.ops.not_equal(tokens, padding), "int32")
    ended = keras.ops.cast(keras.ops.equal(tokens, end), "int32")
    # Behind the first end stands the second text.
    second = keras.ops.minimum(keras.ops.cumsum(ended, axis=1) - ended, 1) * there
    every = {"token_ids": tokens, "padding_mask": there, "segment_ids": second}
    states = encoder({name: every[name] for name in whole.input})
    if about.pooling == "first":
        pooled = states[:, 0]
    else:
        counted = keras.ops.cast(there, states.dtype)[:, :, None]
        pooled = keras.ops.sum(states * counted, axis=1) / keras.ops.sum(counted, axis=1)
    kept = keras.layers.Dropout(dropout, name="pooled_dropout")(pooled)
    logits = keras.layers.Dense(classes, dtype="float32", name="classes")(kept)
    return keras.Model(tokens, logits, name="encoder_classifier")


def factors(model: keras.Model, about: Encoder) -> dict[str, float]:
    """The factor of the learning rate of each of the encoder's variables, by its path."""
    encoder = model.get_layer("encoder")
    layers = _layers(encoder, about)
    found = {variable.path: about.decay ** (len(layers) + 1) for variable in encoder.trainable_variables}
    for depth, layer in enumerate(reversed(layers), start=1):
        found |= {variable.path: about.decay**depth for variable in layer.trainable_variables}
    return found


def _below(encoder: keras.Model, about: Encoder) -> list[keras.layers.Layer]:
    """What stays as it came: the lowest layers and all that lies under them."""
    if not about.freeze:
        return []
    layers = _layers(encoder, about)
    if about.freeze > len(layers):
        raise Refused(f"settings.encoder.freeze: {about.preset} has {len(layers)} layers, not {about.freeze}.")
    return [layer for layer in encoder.layers if layer not in layers] + layers[: about.freeze]


def _layers(model: keras.Model, about: Encoder) -> list[keras.layers.Layer]:
    """The transformer's layers from the lowest to the highest."""
    found = [layer for layer in model.layers if isinstance(layer, _hub().layers.TransformerEncoder)]
    found = found or [layer for layer in model.layers if "encoder_layer" in layer.name]
    if not found and (about.freeze or about.decay != 1):
        raise Refused(f"settings.encoder: the layers of {about.preset} are not known here. Set freeze: 0 and decay: 1.")
    return found


def _files(folder: str) -> list[Path]:
    return sorted(path for path in Path(folder).iterdir() if path.is_file())


def _hub() -> Any:
    try:
        import keras_hub
    except ImportError as error:
        raise Refused(
            "settings.model: encoder needs KerasHub, which is not installed: pip install 'solvent-suite[nlp]'."
        ) from error
    return keras_hub


def _from(preset: str, load: Any) -> Any:
    """Load a preset; whatever stops it is told with the cure.

    KerasHub asks Kaggle, Hugging Face or ModelScope by their own clients, whose errors have no class in common but
    these: of the network (OSError), of what was asked for (ValueError), of a package that is not there (ImportError).
    """
    if preset.startswith(("/", "./", "../")) and not Path(preset).is_dir():
        raise Refused(f"settings.encoder.preset: there is no folder {preset}. {CURE}")
    try:
        return load()
    except (OSError, ValueError, ImportError, KeyError) as error:
        said = " ".join(str(error).split()) or type(error).__name__
        raise Refused(f"settings.encoder.preset: {preset} can't be had: {said[:300]} {CURE}") from error
