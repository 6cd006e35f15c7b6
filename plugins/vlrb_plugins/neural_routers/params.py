"""Parameters of the neural routers.

A parameter that is None by default depends on ``variant``; the properties return the value in use.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import attrs
from attrs import validators

from vlrb import param
from vlrb_plugins.shared.router_params import INF, LAMBDA, above_0, at_least_0, at_least_1, optional

VIT = "google/vit-base-patch16-224"
LXMERT = "unc-nlp/lxmert-base-uncased"
VISUALBERT = "uclanlp/visualbert-vqa-coco-pre"
BERT = "bert-base-uncased"

PUBLISHED_IMAGES = 4

Body = Literal["lxmert", "visualbert", "uniter-from-scratch", "vilbert-from-scratch"]


def _share(_: Any, attribute: attrs.Attribute[Any], value: float) -> None:
    if not 0 <= value <= 1:
        raise ValueError(f"{attribute.name} must be from 0 to 1, not {value!r}")


def _weights(default: str, help: str) -> Any:
    """Declare a parameter that names a model on the hub or a folder."""
    metadata = {"help": help, "when": "fit", "folder_or_name": True}
    return attrs.field(default=default, metadata=metadata, kw_only=True)


@attrs.frozen
class NeuralParams:
    """Parameters of all neural routers: data, bodies, schedule and device."""

    rates: ClassVar[tuple[float, float]] = (2e-5, 2e-5)
    """The default learning rates of the variants published and reference."""
    decays: ClassVar[tuple[float, float]] = (0.01, 0.01)
    """The default weight decays of the variants published and reference."""

    variant: Literal["published", "reference"] = param(
        default="published",
        help="published: the method as its paper describes it; reference: loss, texts and pixels of VL-RouterBench's "
        "implementation, but with the image",
    )
    blind: bool = param(
        default=False,
        help="replace every image by a black one, which is what the reference's cosinecls and routerdc see",
    )
    lambda_: float = param(default=INF, validator=at_least_0, help=LAMBDA)

    vision: str = _weights(VIT, "hub id or local folder of the image encoder")
    cross: str = _weights(
        "", f"hub id or local folder of the cross-modal encoder, LXMERT or VisualBERT; default: {LXMERT}"
    )
    text: str = _weights(BERT, "hub id or local folder of the tokenizer")
    freeze: Literal["none", "vision", "bodies"] = param(
        default="none", help="vision: the image encoder is not trained; bodies: neither it nor the cross-modal encoder"
    )
    images: int | None = param(
        default=None,
        validator=optional(at_least_1),
        help=f"most images of a sample, of which the first are used; unset: published {PUBLISHED_IMAGES}, reference 1",
    )
    text_length: int = param(default=128, validator=validators.ge(8), help="tokens after which a text is cut")
    whole_prompt: bool | None = param(
        default=None, help="hint and options as well as the question; unset: published true, reference false"
    )

    epochs: int = param(default=5, validator=at_least_1, help="most passes over train")
    batch_size: int = param(default=16, validator=at_least_1, help="samples in memory at once")
    accumulate: int = param(
        default=1,
        validator=at_least_1,
        help="batches whose gradients make one step (terms that compare samples see one batch)",
    )
    learning_rate: float | None = param(
        default=None, validator=optional(above_0), help="largest step size of AdamW; unset: by router and variant"
    )
    weight_decay: float | None = param(
        default=None, validator=optional(at_least_0), help="decay of all weights; unset: by router and variant"
    )
    warmup: float = param(
        default=0.1, validator=_share, help="share of the steps in which the step size grows; then it falls to 0"
    )
    clip: float = param(default=1.0, validator=above_0, help="largest norm of a gradient")
    patience: int = param(
        default=2, validator=at_least_1, help="epochs without a better dev score after which training stops"
    )
    min_delta: float = param(
        default=1e-4, validator=at_least_0, help="smallest improvement of the dev score that counts"
    )

    device: Literal["auto", "cpu", "cuda"] = param(
        default="auto", help="device of training and routing; auto: a GPU if there is one"
    )
    precision: Literal["auto", "float32", "bfloat16"] = param(
        default="auto", help="of the forward pass; auto: bfloat16 on a GPU that has it, else float32"
    )
    deterministic: bool = param(default=True, help="use deterministic algorithms only")
    route_batch_size: int = param(default=64, validator=at_least_1, help="samples that are routed at once")

    @property
    def published(self) -> bool:
        """Tell whether the variant is ``published``."""
        return self.variant == "published"

    @property
    def rate(self) -> float:
        """Return the learning rate."""
        return self.learning_rate or self.rates[0 if self.published else 1]

    @property
    def decay(self) -> float:
        """Return the weight decay."""
        return self.decays[0 if self.published else 1] if self.weight_decay is None else self.weight_decay

    @property
    def most_images(self) -> int:
        """Return how many images of a sample are used."""
        return self.images or (PUBLISHED_IMAGES if self.published else 1)

    @property
    def with_options(self) -> bool:
        """Tell whether hint and options are part of the text."""
        return self.published if self.whole_prompt is None else self.whole_prompt

    @property
    def body(self) -> Body | None:
        """Return the kind of the cross-modal body; None if it follows from ``cross``."""
        return None

    @property
    def cross_id(self) -> str:
        """Return the hub id or folder of the cross-modal encoder."""
        return self.cross or LXMERT


@attrs.frozen
class CosineclsParams(NeuralParams):
    """Parameters of the router ``cosinecls``."""


@attrs.frozen
class RouterdcParams(NeuralParams):
    """Parameters of the router ``routerdc``."""

    rates: ClassVar[tuple[float, float]] = (5e-5, 2e-5)

    lambda_: float = param(default=100.0, validator=at_least_0, help=LAMBDA)
    top: int = param(
        default=3, validator=at_least_1, help="number of a sample's best correct models that are positives"
    )
    last: int = param(
        default=3, validator=at_least_1, help="published: number of wrong models that are negatives, drawn at each step"
    )
    clusters: int | None = param(
        default=None,
        validator=optional(at_least_1),
        help="clusters of the samples, computed before training; unset: published 8, reference 5",
    )
    others: int = param(
        default=3, validator=at_least_1, help="published: samples of other clusters that are negatives of each"
    )
    cluster_weight: float = param(default=1.0, validator=at_least_0, help="weight of the loss between samples")

    @property
    def cluster_count(self) -> int:
        """Return the number of clusters."""
        return self.clusters or (8 if self.published else 5)


@attrs.frozen
class ZooterParams(NeuralParams):
    """Parameters of the router ``zooter``."""

    rates: ClassVar[tuple[float, float]] = (1e-5, 2e-5)
    decays: ClassVar[tuple[float, float]] = (5e-7, 0.01)

    lambda_: float = param(default=100.0, validator=at_least_0, help=LAMBDA)
    dropout: float = param(default=0.1, validator=_share, help="of the query before the last layer")
    tags_per_question: int = param(
        default=4, validator=at_least_1, help="published: most words of a question that are its tags"
    )
    sample_weight: float = param(
        default=0.3, validator=_share, help="published: weight of a sample's own target; its tags have the rest"
    )


@attrs.frozen
class VlcParams(NeuralParams):
    """Parameters of the router ``vlc``."""

    model: Body = param(
        default="lxmert",
        help="the cross-modal body, which also sets the default of `cross`; bodies from scratch have the shape of `text`'s "
        "configuration and random weights",
    )
    dropout: float = param(default=0.1, validator=_share, help="of the query before the last layer")

    @property
    def body(self) -> Body:
        """Return the kind of the cross-modal body."""
        return self.model

    @property
    def cross_id(self) -> str:
        """Return the hub id or folder of the cross-modal encoder; of a body from scratch, that of its configuration."""
        if self.model.endswith("from-scratch"):
            return self.cross or self.text
        return self.cross or (VISUALBERT if self.model == "visualbert" else LXMERT)


ROUTERS: dict[str, tuple[type[NeuralParams], str]] = {
    "cosinecls": (
        CosineclsParams,
        "cosine similarity of a query to a learnt vector per model, trained as a classifier",
    ),
    "routerdc": (
        RouterdcParams,
        "cosine similarity of a query to a learnt vector per model, trained by dual contrastive loss",
    ),
    "zooter": (
        ZooterParams,
        "predicts the distribution of rewards over models, averaged over similar questions in training",
    ),
    "vlc": (
        VlcParams,
        "vision-language classifier: a linear layer over LXMERT, VisualBERT or another cross-modal body",
    ),
}
"""Name -> class of its parameters, summary."""
