"""Bodies: from tokens and pixels to one vector per sample, the query.

States of an image encoder's patches are projected into the cross-modal encoder, which attends to them and to the text.  The
patches of several images are concatenated; samples with fewer images than others of their batch are padded and masked, and a
sample without images has one learnt vector instead.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from vlrb import ConfigError
from vlrb_plugins.neural_routers.samples import Batch
from vlrb_plugins.shared.messages import first_line

MODAL_TYPES = 2
"""Kinds of inputs in Uniter's single stream: tokens, patches."""

CO_ATTENTION = 2
"""Blocks of co-attention between Vilbert's towers."""

TOWER_LAYERS = 6
"""Largest number of layers of each of Vilbert's towers below and above the co-attention."""


class Sight(nn.Module):
    """Patch states of a batch's images, [b, p, d], with a mask int64[b, p] that is 0 for padding."""

    mean: Tensor
    deviation: Tensor

    def __init__(
        self, model: Any, width: int, mean: tuple[float, ...], deviation: tuple[float, ...], frozen: bool
    ) -> None:
        super().__init__()
        self.model = model
        self.frozen = frozen
        self.projection = nn.Linear(_width(model), width)
        self.absent = nn.Parameter(torch.zeros(width))
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("deviation", torch.tensor(deviation).view(1, 3, 1, 1), persistent=False)

    def train(self, mode: bool = True) -> Sight:
        """Switch dropout on or off; a frozen encoder has none."""
        super().train(mode)
        if self.frozen:
            self.model.eval()
        return self

    def forward(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return the projected states and their mask."""
        owners = torch.repeat_interleave(torch.arange(len(batch), device=batch.counts.device), batch.counts)
        slots = torch.arange(len(owners), device=owners.device) - (batch.counts.cumsum(0) - batch.counts)[owners]
        most = int(batch.counts.max())
        if most == 0:
            states = self.absent.expand(len(batch), 1, -1)
            return states, torch.ones(states.shape[:2], dtype=torch.int64, device=states.device)
        seen = self.projection(self._states(batch.pixels))
        patches = seen.shape[1]
        states = seen.new_zeros(len(batch), most, patches, seen.shape[2])
        states = states.index_put((owners, slots), seen).flatten(1, 2)
        mask = (torch.arange(most, device=owners.device) < batch.counts[:, None]).long().repeat_interleave(patches, 1)
        nothing = batch.counts == 0
        first = torch.where(nothing[:, None], self.absent.to(states.dtype), states[:, 0])
        states = torch.cat([first[:, None], states[:, 1:]], dim=1)
        return states, torch.cat([torch.ones_like(mask[:, :1]), mask[:, 1:]], dim=1)

    def pooled(self, batch: Batch) -> Tensor:
        """Return the mean of the encoder's states over patches and images, [b, e]; zeros for a sample without images."""
        total = torch.zeros(len(batch), self.projection.in_features, device=batch.counts.device)
        if int(batch.counts.max()) == 0:
            return total
        owners = torch.repeat_interleave(torch.arange(len(batch), device=batch.counts.device), batch.counts)
        total = total.index_add(0, owners, self._states(batch.pixels).float().mean(dim=1))
        return total / batch.counts.clamp(min=1)[:, None]

    def _states(self, pixels: Tensor) -> Tensor:
        scaled = (pixels.permute(0, 3, 1, 2).float() / 255 - self.mean) / self.deviation
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.frozen):
            states: Tensor = self.model(pixel_values=scaled).last_hidden_state
        return states


def _width(model: Any) -> int:
    width = getattr(model.config, "hidden_size", None)
    if not isinstance(width, int):
        raise ConfigError(
            f"{type(model).__name__} has no states of patches: its configuration has no hidden_size",
            where="vision",
            fix="name a vision transformer, such as a ViT, DINOv2, CLIP or SigLIP",
        )
    return width


class Body(nn.Module):
    """A cross-modal encoder: its configuration, the widths of its queries and of its visual inputs, and the limits of texts."""

    def __init__(self, config: Any, visual_width: int) -> None:
        super().__init__()
        self.config = config
        self.visual_width = int(visual_width)
        self.width = int(config.hidden_size)
        self.most_tokens = int(config.max_position_embeddings)
        self.vocabulary = int(config.vocab_size)


class Lxmert(Body):
    """LXMERT over patch states with boxes of zeros, as in the reference; the query is its pooled output."""

    def __init__(self, model: Any) -> None:
        super().__init__(model.config, model.config.visual_feat_dim)
        self.model = model

    def forward(self, ids: Tensor, mask: Tensor, states: Tensor, seen: Tensor) -> Tensor:
        """Return the query, [b, d]."""
        boxes = states.new_zeros(*states.shape[:2], self.model.config.visual_pos_dim)
        found: Tensor = self.model(
            input_ids=ids,
            attention_mask=mask,
            visual_feats=states,
            visual_pos=boxes,
            visual_attention_mask=seen,
        ).pooled_output
        return found

    def text_state(self, ids: Tensor, mask: Tensor) -> Tensor:
        """Return the first token's state after the language layers, [b, d]."""
        states = self.model.embeddings(ids, torch.zeros_like(ids))
        for layer in self.model.encoder.layer:
            states = layer(states, _additive(mask, states.dtype))[0]
        first: Tensor = states[:, 0]
        return first


class VisualBert(Body):
    """VisualBERT, one stream of tokens and patches; the query is its pooled output."""

    def __init__(self, model: Any) -> None:
        super().__init__(model.config, model.config.visual_embedding_dim)
        self.model = model

    def forward(self, ids: Tensor, mask: Tensor, states: Tensor, seen: Tensor) -> Tensor:
        """Return the query, [b, d]."""
        found: Tensor = self.model(
            input_ids=ids,
            attention_mask=mask,
            visual_embeds=states,
            visual_attention_mask=seen,
            visual_token_type_ids=torch.ones_like(seen),
        ).pooler_output
        return found

    def text_state(self, ids: Tensor, mask: Tensor) -> Tensor:
        """Return the first token's state for texts without patches, [b, d]."""
        first: Tensor = self.model(input_ids=ids, attention_mask=mask).last_hidden_state[:, 0]
        return first


def _tower(config: Any, layers: int) -> Any:
    from transformers import BertModel

    settings = type(config)(**{**config.to_dict(), "num_hidden_layers": layers})
    return BertModel(settings, add_pooling_layer=False)


def _additive(mask: Tensor, dtype: torch.dtype) -> Tensor:
    """Return a mask in the form that is added to attention scores, [b, 1, 1, t]."""
    return (1.0 - mask[:, None, None, :].to(dtype)) * torch.finfo(dtype).min


class Uniter(Body):
    """One stream like UNITER: BERT over tokens and patches, with a learnt vector per modality; from scratch."""

    def __init__(self, config: Any) -> None:
        from transformers import BertModel

        super().__init__(config, config.hidden_size)
        self.model = BertModel(config)
        self.types = nn.Embedding(MODAL_TYPES, self.width)
        self.visual = nn.Linear(self.width, self.width)
        self.norm = nn.LayerNorm(self.width)
        self.dropout = nn.Dropout(float(config.hidden_dropout_prob))

    def forward(self, ids: Tensor, mask: Tensor, states: Tensor, seen: Tensor) -> Tensor:
        """Return the query, [b, d]."""
        table = self.model.embeddings
        text = table(input_ids=ids) + self.types.weight[0]
        # positions of patches follow those of the tokens, and start at 0 again when the body has no more
        after = (ids.shape[1] + torch.arange(states.shape[1], device=ids.device)) % self.most_tokens
        visual = self.dropout(
            self.norm(self.visual(states) + table.position_embeddings(after)[None] + self.types.weight[1])
        )
        joined, both = torch.cat([text, visual.to(text.dtype)], dim=1), torch.cat([mask, seen], dim=1)
        hidden = self.model.encoder(joined, attention_mask=_additive(both, joined.dtype)).last_hidden_state
        found: Tensor = self.model.pooler(hidden)
        return found


class CoAttention(nn.Module):
    """Two streams that attend to each other; the result is added to each."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.text = nn.MultiheadAttention(width, heads, dropout=dropout, batch_first=True)
        self.visual = nn.MultiheadAttention(width, heads, dropout=dropout, batch_first=True)

    def forward(self, text: Tensor, visual: Tensor, mask: Tensor, seen: Tensor) -> tuple[Tensor, Tensor]:
        """Return both streams."""
        to_text, _ = self.text(text, visual, visual, key_padding_mask=seen == 0, need_weights=False)
        to_visual, _ = self.visual(visual, text, text, key_padding_mask=mask == 0, need_weights=False)
        return text + to_text, visual + to_visual


class Vilbert(Body):
    """Two streams like ViLBERT: towers of BERT layers, co-attention, more layers; from scratch."""

    def __init__(self, config: Any) -> None:
        super().__init__(config, config.hidden_size)
        below = min(TOWER_LAYERS, max(1, int(config.num_hidden_layers) // 2))
        self.lower = nn.ModuleList([_tower(config, below), _tower(config, below)])
        heads, dropout = int(config.num_attention_heads), float(config.attention_probs_dropout_prob)
        self.between = nn.ModuleList([CoAttention(self.width, heads, dropout) for _ in range(CO_ATTENTION)])
        self.upper = nn.ModuleList([_tower(config, below).encoder, _tower(config, below).encoder])
        self.joint = nn.Linear(2 * self.width, self.width)

    def forward(self, ids: Tensor, mask: Tensor, states: Tensor, seen: Tensor) -> Tensor:
        """Return the query, [b, d]."""
        text = self.lower[0](input_ids=ids, attention_mask=mask).last_hidden_state
        dtype = text.dtype
        tower: Any = self.lower[1]
        visual = tower.encoder(states.to(dtype), attention_mask=_additive(seen, dtype)).last_hidden_state
        for block in self.between:
            text, visual = block(text, visual, mask, seen)
        text = self.upper[0](text, attention_mask=_additive(mask, dtype)).last_hidden_state
        visual = self.upper[1](visual, attention_mask=_additive(seen, dtype)).last_hidden_state
        return torch.tanh(self.joint(torch.cat([text[:, 0], visual[:, 0]], dim=1)))


BODIES: dict[str, Any] = {
    "lxmert": Lxmert,
    "visualbert": VisualBert,
    "uniter-from-scratch": Uniter,
    "vilbert-from-scratch": Vilbert,
}
OF_TYPE = {"lxmert": "lxmert", "visual_bert": "visualbert"}
"""The ``model_type`` of a checkpoint -> body."""


def body_of(model_type: str, name: str, wanted: str | None) -> str:
    """Return the kind of body that a checkpoint is for.

    :raises ConfigError: when it is for no body, or not for the wanted one
    """
    found = OF_TYPE.get(model_type)
    if wanted is not None and wanted.endswith("from-scratch"):
        if model_type != "bert":
            raise ConfigError(
                f"{wanted} has the shape of a BERT, and {name!r} is of the type {model_type!r}",
                where="cross",
                fix="name a BERT, such as bert-base-uncased, of which only the configuration is used",
            )
        return wanted
    if found is None or wanted not in (None, found):
        raise ConfigError(
            f"{name!r} is of the type {model_type!r}, and {wanted or 'a cross-modal encoder'} is needed",
            where="cross",
            fix=f"name a model of the types {', '.join(OF_TYPE)}",
        )
    return found


class Network(nn.Module):
    """An image encoder, a cross-modal body and a head."""

    def __init__(self, sight: Sight, body: Any, head: nn.Module, frozen: bool = False) -> None:
        super().__init__()
        self.sight = sight
        self.body = body
        self.head = head
        self.frozen = frozen

    def train(self, mode: bool = True) -> Network:
        """Switch dropout on or off; a frozen body has none."""
        super().train(mode)
        if self.frozen:
            self.body.eval()
        return self

    def query(self, batch: Batch) -> Tensor:
        """Return the query of every sample, [b, d]."""
        states, seen = self.sight(batch)
        found: Tensor = self.body(batch.ids, batch.mask, states, seen)
        return found

    def forward(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return logits [b, k] and queries [b, d] in single precision.

        The head computes in single precision, since rounding to bfloat16 makes logits of different models equal.
        """
        query = self.query(batch).float()
        with torch.autocast(query.device.type, enabled=False):
            logits: Tensor = self.head(query)
        return logits, query

    def pretrained(self, batch: Batch) -> Tensor:
        """Return what the pretrained encoders give for text and images, [b, d + e], without weights that start at random."""
        return torch.cat([self.body.text_state(batch.ids, batch.mask).float(), self.sight.pooled(batch)], dim=1)


def check_fit(tokenizer: Any, body: Any, sight: Sight, text_length: int, size: int) -> None:
    """Check that tokenizer, image encoder and body fit together, with an image of black pixels.

    :param text_length: tokens after which texts are cut
    :param size: width and height of images in pixels
    :raises ConfigError: naming what does not fit
    """
    if len(tokenizer) > body.vocabulary:
        raise ConfigError(
            f"the tokenizer has {len(tokenizer):,} tokens, and the cross-modal encoder knows {body.vocabulary:,}",
            where="text",
            fix="name the tokenizer that the cross-modal encoder was trained with",
        )
    if text_length > body.most_tokens:
        raise ConfigError(
            f"is {text_length}, and the cross-modal encoder takes {body.most_tokens} tokens at most",
            where="text_length",
            fix=f"set text_length = {body.most_tokens} or less",
        )
    try:
        with torch.no_grad():
            states = sight._states(torch.zeros(1, size, size, 3, dtype=torch.uint8))
    except (ValueError, RuntimeError) as error:  # some encoders accept other sizes than their configuration says
        raise ConfigError(
            f"the image encoder does not take the images of {size} x {size} pixels that its preprocessor makes: "
            f"{first_line(error)}",
            where="vision",
            fix="name a checkpoint whose config.json and preprocessor_config.json agree",
        ) from None
    if states.ndim != 3 or states.shape[2] != sight.projection.in_features:
        raise ConfigError(
            f"the image encoder gives states of shape {tuple(states.shape)}, and {sight.projection.in_features} numbers per "
            "patch are needed",
            where="vision",
            fix="name a vision transformer, such as a ViT, DINOv2, CLIP or SigLIP",
        )
