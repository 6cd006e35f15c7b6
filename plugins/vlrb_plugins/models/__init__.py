"""The 17 candidate models of VL-RouterBench (arXiv 2512.23562), with the prices of its pricing table.

Prices are US dollars per million tokens.  Parameters are billions, all experts counted, None where not published.
"""

from __future__ import annotations

from vlrb import ImageTokens, Model, hookimpl


def _model(
    name: str,
    prices: tuple[float, float],
    parameters: float | None,
    aliases: tuple[str, ...] = (),
    *,
    open: bool = True,
    images: ImageTokens | None = None,
) -> Model:
    low, high = prices
    return Model(
        name=name,
        input_price_per_million=low,
        output_price_per_million=high,
        parameters=parameters,
        open=open,
        image_tokens=images,
        aliases=aliases,
        sets=("paper",),
    )


_GPT4O = ImageTokens(
    rule="tiles",
    source="OpenAI, Images and vision guide: GPT-4o, detail high",
    tokens=85,
    size=512,
    per_tile=170,
    fit=2048,
    short_side=768,
)
_QWEN = ImageTokens(
    rule="patches",
    source="Qwen2.5-VL, processor configuration",
    size=28,
    min_pixels=4 * 28 * 28,
    max_pixels=16384 * 28 * 28,
)
_INTERNVL = ImageTokens(
    rule="grid", source="InternVL2.5, model card: dynamic_preprocess", size=448, per_tile=256, max_tiles=12
)
_GEMMA = ImageTokens(rule="constant", source="Gemma 3 technical report: 256 tokens per image", tokens=256)
_JANUS = ImageTokens(rule="constant", source="Janus-Pro: 384 x 384 pixels in patches of 16", tokens=576)

MODELS = (
    _model("GPT4o", (2.5, 10.0), None, ("GPT-4o", "gpt-4o"), open=False, images=_GPT4O),
    _model("GeminiFlash2-5", (0.3, 2.4), None, ("Gemini-2.5-Flash",), open=False),
    _model("Gemma3-27B", (0.35, 0.5), 27, ("Gemma-3-27B",), images=_GEMMA),
    _model("InternVL2_5-78B", (1.0, 1.5), 78, ("InternVL2.5-78B",), images=_INTERNVL),
    _model("Janus-Pro-1B", (0.05, 0.05), 1, images=_JANUS),
    _model("Janus-Pro-7B", (0.18, 0.25), 7, images=_JANUS),
    _model("Kimi-VL-A3B-Thinking-2506", (0.2, 0.25), 16),
    _model("MiMo-VL-7B-RL", (0.2, 0.3), 7),
    _model("Phi-3.5-Vision", (0.1, 0.1), 4.2),
    _model("Pixtral-12B", (0.25, 0.35), 12),
    _model("Qianfan-VL-8B", (0.18, 0.25), 8),
    _model("Qwen2.5-VL-32B-Instruct", (0.4, 0.6), 32, ("Qwen2.5-VL-32B",), images=_QWEN),
    _model("Qwen2.5-VL-72B-Instruct", (0.8, 1.2), 72, ("Qwen2.5-VL-72B",), images=_QWEN),
    _model("SmolVLM2", (0.06, 0.06), 2.2),
    _model("deepseek_vl2", (0.35, 0.5), 27, ("DeepSeek-VL2",)),
    _model("deepseek_vl2_tiny", (0.05, 0.05), 3.4, ("DeepSeek-VL2-Tiny",)),
    _model("llava_next_vicuna_7b", (0.2, 0.2), 7, ("LLaVA-NeXT-Vicuna-7B",)),
)


@hookimpl
def vlrb_models() -> tuple[Model, ...]:
    """Return the 17 models."""
    return MODELS
