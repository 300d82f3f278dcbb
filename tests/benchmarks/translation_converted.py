"""The weights of a translator, converted for CTranslate2, so that the same network decodes in another engine."""

from pathlib import Path
from typing import Any

import ctranslate2
import keras
import numpy as np
from ctranslate2.specs import TransformerSpec
from ctranslate2.specs.transformer_spec import TransformerDecoderLayerSpec, TransformerEncoderLayerSpec

from solvent.text import Vocabulary

__all__ = ["Converted"]

PLACES = 1024  # of which the waves are written down


class Converted:
    """Greedy decoding by CTranslate2 on the processor in float32.

    Args:
        folder: where the converted network is written to.
        threads: at work in each operation.
    """

    def __init__(self, model: keras.Model, vocabulary: Vocabulary, folder: Path, threads: int) -> None:
        parts = {layer.name: layer for layer in model.layers}
        layers = sum(f"decoder_{number}_self" in parts for number in range(len(parts)))
        spec = TransformerSpec.from_config((layers, layers), parts["decoder_0_self"].heads, pre_norm=True)
        for name, side in (("encoder", spec.encoder), ("decoder", spec.decoder)):
            embeddings = side.embeddings[0] if name == "encoder" else side.embeddings
            embeddings.weight = parts["subwords"].get_weights()[0]
            side.position_encodings.encodings = _waves(embeddings.weight.shape[1])
            _normalised(side.layer_norm, parts[f"{name}_norm"])
            for number, layer in enumerate(side.layer):
                _filled(layer, parts, f"{name}_{number}")
        spec.decoder.projection.weight = spec.decoder.embeddings.weight
        self.pieces = vocabulary.pieces(np.arange(len(vocabulary)))
        self.numbers = {piece: number for number, piece in enumerate(self.pieces)}
        spec.register_source_vocabulary(self.pieces)
        spec.register_target_vocabulary(self.pieces)
        start, end, unknown = (self.pieces[token] for token in (vocabulary.start, vocabulary.end, vocabulary.unknown))
        spec.config.bos_token, spec.config.eos_token, spec.config.unk_token = start, end, unknown
        spec.config.decoder_start_token, spec.config.layer_norm_epsilon = start, 1e-6
        spec.validate()
        spec.optimize()
        spec.save(str(folder))
        self.never = [[self.pieces[token]] for token in (vocabulary.padding, vocabulary.start)]
        self.translator = ctranslate2.Translator(
            str(folder), device="cpu", compute_type="float32", inter_threads=1, intra_threads=threads
        )

    def __call__(self, source: np.ndarray, limit: int) -> np.ndarray:
        """Tokens of sources, `(texts, length)`, 0 behind their ends, to those of translations, without their ends."""
        given = [[self.pieces[token] for token in row if token] for row in source]
        found = self.translator.translate_batch(
            given,
            beam_size=1,
            max_batch_size=len(given),
            max_decoding_length=limit,
            max_input_length=0,
            suppress_sequences=self.never,
            disable_unk=True,
        )
        said = [[self.numbers[piece] for piece in each.hypotheses[0]] for each in found]
        tokens = np.zeros((len(said), max(1, *map(len, said))), np.int32)
        for row, each in zip(tokens, said, strict=True):
            row[: len(each)] = each
        return tokens


def _waves(width: int) -> np.ndarray:
    """What `layers.Positions` adds; CTranslate2's own are of other lengths and begin with the second place."""
    waves = np.arange(PLACES)[:, None] * np.exp(np.arange(0, width, 2) * (-np.log(10_000) / width))
    return np.concatenate([np.sin(waves), np.cos(waves)], axis=1).astype(np.float32)


def _filled(layer: TransformerEncoderLayerSpec | TransformerDecoderLayerSpec, parts: dict[str, Any], name: str) -> None:
    attention = parts[f"{name}_self"]
    both = [np.concatenate(pair, axis=-1) for pair in zip(*_weights(attention.query, attention.key_value), strict=True)]
    _dense(layer.self_attention.linear[0], *both)
    _dense(layer.self_attention.linear[1], *attention.out.get_weights())
    _normalised(layer.self_attention.layer_norm, parts[f"{name}_self_norm"])
    if (reading := parts.get(f"{name}_source")) is not None:
        for place, dense in enumerate((reading.query, reading.key_value, reading.out)):
            _dense(layer.attention.linear[place], *dense.get_weights())
        _normalised(layer.attention.layer_norm, parts[f"{name}_source_norm"])
    _dense(layer.ffn.linear_0, *parts[f"{name}_inner_wide"].get_weights())
    _dense(layer.ffn.linear_1, *parts[f"{name}_inner_narrow"].get_weights())
    _normalised(layer.ffn.layer_norm, parts[f"{name}_inner_norm"])


def _weights(*layers: Any) -> list[list[np.ndarray]]:
    return [layer.get_weights() for layer in layers]


def _dense(spec: Any, kernel: np.ndarray, bias: np.ndarray) -> None:
    spec.weight, spec.bias = np.ascontiguousarray(kernel.T), bias


def _normalised(spec: Any, layer: Any) -> None:
    spec.gamma, spec.beta = layer.get_weights()
