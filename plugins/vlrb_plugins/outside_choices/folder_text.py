"""The README.md of an exported folder."""

README = """\
# Questions for a router

Written by `vlrb build FILE --export queries DIR`. All files are UTF-8; a `.jsonl` file has a JSON object on each line.

| file | holds |
|---|---|
| `candidates.json` | the models that may be chosen |
| `splits.json` | `splits`: the splits' names and how many questions `train`, `dev` and `test` have |
| `SPLIT/train.jsonl` | questions to learn from, with the outcome of every model |
| `SPLIT/dev.jsonl` | questions to choose settings by, with the outcome of every model |
| `SPLIT/test.jsonl` | questions without outcomes |
| `images/` | image files, named by a hash of their content |

A split's folder has its name. A candidate has a `name`, `input_price` and `output_price` (USD per million tokens), and
`parameters` (billions), null where unknown. `synthetic` in `splits.json` says what is made up, if the data are synthetic.

A question has `split`, `id`, `question`, `options` (a list of `letter` and `text`, may be empty), `hint` (may be
empty), and `images` (paths relative to this folder, may be empty). `outcomes` of train and dev has, for each model,
`correct` (whether the answer counts as right), `score` (0 to 1), `cost` (USD), `input_tokens` and `output_tokens` (null
where the logs give costs instead).

## What to write

One file, `.jsonl` or `.csv`, with one row for every question of `dev.jsonl` and `test.jsonl` of every split, in any order:

    {"split": "split", "id": "0123456789abcdef0123456789abcdef", "model": "name of a candidate"}

or, as CSV, the header `split,id,model` and such rows.

## What is fair

For each split, learn from its own folder only, and start from scratch: the outcomes of a question that is tested in one split
are in the train folders of others. The ids of a question differ between splits, so that nothing is joined by accident, but its
text and images are the same. Ids hide the names of datasets and samples, but are not encrypted: anyone who has the logs can
compute them. The choices alone do not show whether a router kept to this.
"""
