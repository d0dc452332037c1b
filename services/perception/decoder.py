"""SAM's mask decoder, exactly, without ever forming a prompt's own copy of the image.

`segment_anything` gives each point prompt an image of its own, 4096 positions of 256 channels, which two layers of
attention then change. So a thousand prompts move a thousand images through memory, though all of them begin as the same
one. What a prompt adds to it is small: an image-to-token attention with 7 tokens and 8 heads writes 56 rows, mixed at
each position by its softmax weights. Here a prompt's image side stays what it is, the shared image and some rows:

    keys[s] = scale[s] * image[s] + sum_r weights[r, s] * rows[r] + bias        (s: position, r: row written)

and whatever the decoder does with it is done to these factors:

* Image-to-token attention appends rows, `value @ out_proj` for each head and token, and its softmax weights. As a
  head's weights sum to one, a constant (the biases) is spread over the rows of a write.
* LayerNorm centres image and rows over the channels and divides by a deviation whose square is a quadratic form: the
  image's own square, twice its products with the rows, and the rows' Gram matrix. Dividing multiplies scale and weights
  by one number a position.
* A projection `keys @ W` is `scale * (image @ W) + weights @ (rows @ W)`. Here `image @ W` is the same for all prompts:
  a table made once an image, as are the products of the image with whatever a write can hold.
* What is constant over positions cancels in the softmax over them: key biases, and LayerNorm's.
* The IoU head reads tokens alone, so masks are upscaled only for the prompts that pass its filter. The first transposed
  convolution is linear: it is applied to image and rows like any projection.

The numbers are the reference's, up to the rounding of sums taken in another order.

Shapes: I images, N prompts, T tokens (1 IoU, K masks, the point, its padding), H heads of d channels, S = h * w
positions, C channels, R rows written so far.
"""

from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import torch
from segment_anything.modeling import Sam
from torch import Tensor
from torch.nn import functional as F

Span = tuple[int, int, int]  # image, and the first and the end of its prompts


@dataclass(frozen=True)
class Reads:
    """What an attention reads of the shared images, by head."""

    image: Tensor  # [I, H, d, S] image @ W
    place: Tensor  # [1, H, d, S] positional encoding @ W


@dataclass(frozen=True)
class Layer:
    """The tables of one two-way layer."""

    keys: Reads  # of the image, that tokens ask
    values: Tensor  # [I, H, S, d] of the image
    queries: Reads  # of the image, that asks the tokens
    square: Tensor  # [I, S] |image|^2 as the layer's norm has it, centred
    products: tuple[Tensor, ...]  # for each write so far [I, H, d + 1, S]: the centred image with what it can hold


@dataclass(frozen=True)
class Shared:
    """What the prompts of the same images have in common, made by `Decoder.share`."""

    layers: tuple[Layer, ...]
    last_keys: Reads  # of the final attention of tokens to image
    last_values: Tensor  # [I, H, S, d]
    spread: Tensor  # [I, S, 4 * c] the image through the first transposed convolution
    side: tuple[int, int]  # h, w


@dataclass(frozen=True)
class Keys:
    """The image side of N prompts, in factors."""

    scale: Tensor  # [N, 1, S]
    weights: Tensor  # [N, R, S]
    rows: Tensor  # [N, R, C]
    bias: Tensor  # [C]
    spans: Sequence[Span]


@dataclass(frozen=True)
class Trunk:
    """Prompts after the transformer, before any mask."""

    tokens: Tensor  # [N, T, C]
    predicted_iou: Tensor  # [N, K] of each mask token
    keys: Keys


class Decoder:
    """`sam.mask_decoder` for point prompts. Works on the device of the weights, in their type."""

    def __init__(self, sam: Sam) -> None:
        self.compiled = False
        self._prompts, self._decoder = sam.prompt_encoder, sam.mask_decoder
        self._transformer = sam.mask_decoder.transformer
        self._heads: int = self._transformer.final_attn_token_to_image.num_heads
        with torch.inference_mode():
            self._place = self._prompts.get_dense_pe().flatten(2).transpose(1, 2)  # [1, S, C]
            self._iou_head = deepcopy(self._decoder.iou_prediction_head).double()  # no TF32 where a filter decides
            self._constants: list[Tensor] = []  # [C], what each row of a layer's write holds beside its value
            bias: Tensor | float = 0.0
            for layer in self._transformer.layers:
                self._constants.append((layer.cross_attn_image_to_token.out_proj.bias + bias) / self._heads)
                bias = layer.norm4.bias

    def compile(self, backend: str | Callable[..., Any] = "inductor") -> None:
        """Compile what is done for each batch; every number of prompts and every list of spans is compiled anew."""
        self.compiled = True
        for name in ("trunk", "upscale"):
            setattr(self, name, torch.compile(getattr(self, name), fullgraph=True, dynamic=False, backend=backend))

    def share(self, embeddings: Tensor) -> Shared:
        """The tables for images [I, C, h, w], as the image encoder gives them."""
        image = embeddings + self._prompts.no_mask_embed.weight[..., None, None]
        image = image.flatten(2).transpose(1, 2)  # [I, S, C]
        layers = []
        for index, layer in enumerate(self._transformer.layers):
            keys, values = self._asked_for(layer.cross_attn_token_to_image, image)
            queries = self._reads(layer.cross_attn_image_to_token.q_proj, image)
            image = _centred(image)
            layers.append(Layer(keys, values, queries, image.square().sum(-1), self._products(image, index)))
            image = image * layer.norm4.weight
        keys, values = self._asked_for(self._transformer.final_attn_token_to_image, image)
        height, width = embeddings.shape[-2:]
        return Shared(tuple(layers), keys, values, image @ self._first_upscaling(), (height, width))

    def trunk(self, shared: Shared, points: Tensor, spans: Sequence[Span]) -> Trunk:
        """Points [N, 2], x and y in pixels of the encoder's input, through the transformer and the IoU head."""
        count = len(points)
        output = torch.cat([self._decoder.iou_token.weight, self._decoder.mask_tokens.weight])
        tokens = torch.cat([output.expand(count, -1, -1), self._embed(points)], dim=1)
        place = tokens
        _, positions, channels = self._place.shape
        keys = Keys(
            tokens.new_ones(count, 1, positions),
            tokens.new_empty(count, 0, positions),
            tokens.new_empty(count, 0, channels),
            tokens.new_zeros(channels),
            spans,
        )
        written: list[Tensor] = []
        for index, (layer, tables) in enumerate(zip(self._transformer.layers, shared.layers, strict=True)):
            if layer.skip_first_layer_pe:
                tokens = layer.self_attn(q=tokens, k=tokens, v=tokens)
            else:
                tokens = tokens + layer.self_attn(q=tokens + place, k=tokens + place, v=tokens)
            tokens = layer.norm1(tokens)
            attention = layer.cross_attn_token_to_image
            tokens = layer.norm2(tokens + self._read(attention, tokens + place, keys, tables.keys, tables.values))
            tokens = layer.norm3(tokens + layer.mlp(tokens))
            attention = layer.cross_attn_image_to_token
            weights = self._asked(attention, tokens + place, keys, tables.queries)
            written.append(self._by_head(attention.v_proj(tokens)))
            keys = self._write(index, keys, weights, written, tables)
        attention = self._transformer.final_attn_token_to_image
        read = self._read(attention, tokens + place, keys, shared.last_keys, shared.last_values)
        tokens = self._transformer.norm_final_attn(tokens + read)
        return Trunk(tokens, self._iou_head(tokens[:, 0].double()).float(), keys)

    def upscale(self, shared: Shared, trunk: Trunk, prompts: Tensor, image: int) -> Tensor:
        """Logits [P, K, 4h, 4w] of `prompts` [P], rows of `trunk` that are all of the same `image`."""
        first, norm, _, second, _ = self._decoder.output_upscaling
        keys, tokens = trunk.keys, trunk.tokens[prompts]
        up = self._first_upscaling()
        pixels = keys.scale[prompts].transpose(1, 2) * shared.spread[image]  # [P, S, 4 * c]
        pixels.baddbmm_(keys.weights[prompts].transpose(1, 2), keys.rows[prompts] @ up)
        pixels += keys.bias @ up + first.bias.repeat(4)
        pixels = pixels.unflatten(-1, (4, -1))  # [P, S, 4, c]
        pixels = F.gelu(F.layer_norm(pixels, pixels.shape[-1:], norm.weight, norm.bias, norm.eps))
        pixels = F.gelu(F.linear(pixels, _as_linear(second.weight), second.bias.repeat(4)))  # [P, S, 4, 4 * c']
        mlps = self._decoder.output_hypernetworks_mlps
        hyper = torch.stack([mlp(tokens[:, 1 + i]) for i, mlp in enumerate(mlps)], dim=2)  # [P, c', K]
        logits = pixels.view(len(pixels), -1, hyper.shape[1]) @ hyper  # [P, S * 4 * 4, K]
        height, width = shared.side
        logits = logits.view(-1, height, width, 2, 2, 2, 2, hyper.shape[2])  # y, x, then two halvings of each
        return logits.permute(0, 7, 1, 3, 5, 2, 4, 6).reshape(len(logits), -1, 4 * height, 4 * width)

    def _embed(self, points: Tensor) -> Tensor:
        """[N, 2, C]: each point as a foreground prompt, and the padding that stands for no box."""
        prompts = self._prompts
        height, width = prompts.input_image_size
        across, down = (points.double() + 0.5).unbind(-1)
        x, y = ((2 * (at / length) - 1).to(self._place.dtype) for at, length in ((across, width), (down, height)))
        # Summed by hand: a matrix product may round coordinates to TF32, half a pixel.
        across, down = prompts.pe_layer.positional_encoding_gaussian_matrix
        angle = 2 * torch.pi * (x[:, None] * across + y[:, None] * down)  # [N, C / 2]
        point = torch.cat([angle.sin(), angle.cos()], dim=-1) + prompts.point_embeddings[1].weight
        return torch.stack([point, prompts.not_a_point_embed.weight.expand_as(point)], dim=1)

    def _read(self, attention: Any, asking: Tensor, keys: Keys, tables: Reads, values: Tensor) -> Tensor:
        """Tokens [N, T, C] attend to their image side: [N, T, C]. values: [I, H, S, d] of the shared images."""
        shares = self._scores(self._by_head(attention.q_proj(asking)), attention.k_proj, keys, tables).softmax(-1)
        mixed = shares.flatten(1, 2) @ keys.weights.transpose(1, 2)  # [N, H * T, R]
        mixed = mixed.unflatten(1, (self._heads, -1))
        got = mixed @ self._by_head(keys.rows @ attention.v_proj.weight.T)  # [N, H, T, d]
        shares *= keys.scale[:, None]
        for image, start, end in keys.spans:
            for head in range(self._heads):
                of_image = values[image, head].expand(end - start, -1, -1)
                got[start:end, head].baddbmm_(shares[start:end, head], of_image)
        constant = attention.v_proj(keys.bias)
        out: Tensor = attention.out_proj(got.transpose(1, 2).flatten(2) + constant)
        return out

    def _asked(self, attention: Any, asked: Tensor, keys: Keys, tables: Reads) -> Tensor:
        """The image side attends to tokens [N, T, C]: how much each position takes of each token, [N, H * T, S]."""
        key = self._by_head(attention.k_proj(asked))  # [N, H, T, d]
        scores = self._scores(key, attention.q_proj, keys, tables)
        constant = attention.q_proj(keys.bias).view(self._heads, 1, -1)
        scores += (key * constant).sum(-1, keepdim=True) * key.shape[-1] ** -0.5
        return scores.softmax(dim=2).flatten(1, 2)

    def _scores(self, by_token: Tensor, projection: Any, keys: Keys, tables: Reads) -> Tensor:
        """`by_token` [N, H, T, d] times the projected image side, without its bias, scaled: [N, H, T, S]."""
        by_token = by_token * by_token.shape[-1] ** -0.5
        scores = _products(by_token, tables.image, keys.spans)
        scores *= keys.scale[:, None]
        rows = self._by_head(keys.rows @ projection.weight.T)  # [N, H, R, d]
        scores.flatten(1, 2).baddbmm_((by_token @ rows.mT).flatten(1, 2), keys.weights)
        return _products(by_token, tables.place, [(0, 0, len(by_token))], scores)

    def _write(self, index: int, keys: Keys, weights: Tensor, written: Sequence[Tensor], tables: Layer) -> Keys:
        """The image side after the write of layer `index` and its LayerNorm. `written`: values [N, H, T, d] of each."""
        norm, projection = self._transformer.layers[index].norm4, self._out_rows(index)
        rows = (written[-1] @ projection + self._constants[index]).flatten(1, 2)  # [N, H * T, C]
        rows = _centred(torch.cat([keys.rows, rows], dim=1))
        weights = torch.cat([keys.weights, weights], dim=1)
        products = [
            _products(F.pad(value, (0, 1), value=1.0), table, keys.spans).flatten(1, 2)
            for value, table in zip(written, tables.products, strict=True)
        ]
        form = torch.cat(products, dim=1).mul_(2 * keys.scale).baddbmm_(rows @ rows.mT, weights)  # [N, R, S]
        square = form.mul_(weights).sum(1)
        for image, start, end in keys.spans:
            square[start:end] += keys.scale[start:end, 0].square() * tables.square[image]
        factor = (square / rows.shape[-1] + norm.eps).rsqrt()[:, None]  # [N, 1, S]
        return Keys(keys.scale * factor, weights.mul_(factor), rows * norm.weight, norm.bias, keys.spans)

    def _asked_for(self, attention: Any, image: Tensor) -> tuple[Reads, Tensor]:
        """The keys and the values [I, H, S, d] of `image` [I, S, C]."""
        values = self._by_head(image @ attention.v_proj.weight.T).contiguous()
        return self._reads(attention.k_proj, image), values

    def _reads(self, projection: Any, image: Tensor) -> Reads:
        """`image` [I, S, C] and the positions projected, without the bias."""
        by_head = (self._by_head(x @ projection.weight.T).mT.contiguous() for x in (image, self._place))
        return Reads(*by_head)

    def _products(self, image: Tensor, index: int) -> tuple[Tensor, ...]:
        """For the writes up to layer `index`: the centred image [I, S, C] with each value channel, and the constant.

        An earlier write's rows have been through the norms since; as a norm's centring and weight are symmetric, they
        are put on the image instead.
        """
        tables = []
        for write in range(index, -1, -1):
            by_value = self._out_rows(write) @ image[:, None].mT  # [I, H, d, S]
            by_constant = (image @ self._constants[write])[:, None, None].expand(-1, self._heads, 1, -1)
            tables.append(torch.cat([by_value, by_constant], dim=2))
            if write:
                image = _centred(image * self._transformer.layers[write - 1].norm4.weight)
        return tuple(reversed(tables))

    def _by_head(self, x: Tensor) -> Tensor:
        """[N, L, H * d] to [N, H, L, d]."""
        by_head: Tensor = x.unflatten(-1, (self._heads, -1)).transpose(1, 2)
        return by_head

    def _out_rows(self, index: int) -> Tensor:
        """[H, d, C] what each value channel of a layer's write adds to the image."""
        weight: Tensor = self._transformer.layers[index].cross_attn_image_to_token.out_proj.weight
        rows: Tensor = weight.T.unflatten(0, (self._heads, -1))
        return rows

    def _first_upscaling(self) -> Tensor:
        """[C, 4 * c] the first transposed convolution as a matrix."""
        return _as_linear(self._decoder.output_upscaling[0].weight).T


def _centred(x: Tensor) -> Tensor:
    return x - x.mean(-1, keepdim=True)


def _as_linear(weight: Tensor) -> Tensor:
    """A transposed convolution of kernel and stride 2, [C, c, 2, 2], as a linear layer's weight [4 * c, C]."""
    return weight.permute(2, 3, 1, 0).flatten(0, 2)


def _products(left: Tensor, tables: Tensor, spans: Sequence[Span], onto: Tensor | None = None) -> Tensor:
    """[N, H, T, k] times the table [I, H, k, S] of each prompt's image: [N, H, T, S], added to `onto` if given."""
    out = left.new_empty(*left.shape[:3], tables.shape[-1]) if onto is None else onto
    for image, start, end in spans:
        for head in range(left.shape[1]):
            # Expanded, not copied; written where the caller's layout has it.
            table = tables[image, head].expand(end - start, -1, -1)
            out[start:end, head].baddbmm_(left[start:end, head], table, beta=0 if onto is None else 1)
    return out
