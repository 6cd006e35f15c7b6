"""What a user gets for input that cannot be used: place and fix, exit status 4 (5 for plugins), nothing half-written."""

from __future__ import annotations

from typing import Any

import pytest

PROBLEMS = [
    ('nmae = "x"', "nmae: unknown key", "did you mean 'name'"),
    (
        'select_by = "accuracy"',
        "select_by: is no longer a key here",
        "move it to the table [selection], as the key metric",
    ),
    ('select_on = "dev"', "select_on: is no longer a key here", "move it to the table [selection], as the key on"),
    ('[split]\nmethod = "paper"', "split.method: is no longer a key here", '"paper" is use = "samples"'),
    ('[split]\nuse = "paper"', "there is no splitter 'paper'", "it is now called 'samples'"),
    ('[split]\nuse = "stratified"', "there is no splitter 'stratified'", "it is now called 'grouped'"),
    ("[split]\nsweep = 3", "split.sweep: unknown key", "known: dev, expect, folds, group_by, "),
    ("[features.default]\nfusion = 3", "features.default.fusion: must be a name or a table, not 3", ""),
    (
        '[features.default]\nfusion = { use = "average", text_weight = 0.3 }',
        "features.default.fusion.text_weight: unknown key",
        "known: use",
    ),
    ('[[router]]\nuse = "knn"\nlable = "x"', "router[1].lable: unknown key", "did you mean 'label'"),
    ("seeds = [1, 1]", "seeds: must be distinct", ""),
    ('seeds = ["1"]', "seeds[0]: must be an integer, not '1'", ""),
    ("seeds = 5", "seeds: must be a list, not 5", ""),
    ('protocol = "stric"', "protocol: there is no protocol 'stric'", "did you mean 'strict'"),
    ('[selection]\nmetric = "rankscore"', "selection.metric: unknown metric 'rankscore'", "did you mean 'rank-score'"),
    ('requires = ["mlflw"]', "requires[0]: plugin 'mlflw' is required and is not loaded", ""),
    ('[split]\ntrain = "0.7"', "split.train: must be a number, not '0.7'", ""),
    ("[split]\ntrain = 1.5", "split.train: must be between 0 and 1", ""),
    ("[split]\ntrain = 0.5", "split: train, dev and test must add up to 1", ""),
    ('[split]\nuse = "samples"\ngroup_by = "image"', "split.group_by: unknown key", "known: "),
    ('[benchmark]\nmissing = "drop"', "benchmark.missing: must be 'error' or 'drop-sample'", ""),
    ('[benchmark]\ndatasets = ["TinyC"]', "unknown dataset 'TinyC'", "did you mean 'Tiny"),
    ('[benchmark]\nmodels = ["tiny-lage"]', "unknown model 'tiny-lage'", "did you mean 'tiny-large'"),
    ("[benchmark]\ncorrect_at = 0", "benchmark.correct_at: must be > 0, not 0", ""),
    ('[tokens]\ncounter = "cl100"', "there is no token-counter 'cl100'", "did you mean 'cl100k'"),
    ("[features.default]\nencoders = []", "features.default.encoders", ""),
    ("[features]\ndefault = 3\n[[router]]\nuse = 'knn'", "features.default: must be a table, not 3", ""),
    (
        '[features.default]\nencoders = ["hashd-text"]',
        "features.default.encoders[0]: there is no encoder 'hashd-text'",
        "did you mean 'hashed-text'",
    ),
    (
        '[features.b]\nencoders = ["hashed-text"]\nfusion = "concta"',
        "features.b.fusion: there is no fusion 'concta'",
        "did you mean 'concat'",
    ),
    (
        '[features.b]\nencoders = ["hashed-text"]\nfusion = { use = "concta" }',
        "features.b.fusion.use: there is no fusion 'concta'",
        "did you mean 'concat'",
    ),
    ('[[router]]\nuse = "knn"\nk = 5.7', "router[1].k: must be an integer, not 5.7", ""),
    ('[[router]]\nuse = "knn"\nk = true', "router[1].k: must be an integer, not True", ""),
    ('[[router]]\nuse = "knn"\nk = 0', "router[1].k: must be >= 1, not 0", ""),
    (
        '[[router]]\nuse = "knn"\nneighbours = 3',
        "router[1].neighbours: unknown key",
        "known: features, k, label, lambda, metric, resources, sweep, use, variant, weights",
    ),
    (
        '[[router]]\nuse = "random"\nlabel = "oracle"',
        "'oracle' is the name of a reference point",
        "give the router another",
    ),
    (
        '[[router]]\nuse = "linear"\nmonitor = true',
        "router[1].monitor: is now called 'early_stopping'",
        "change the key",
    ),
    ('[[router]]\nuse = "mlp"\nmonitor = true', "router[1].monitor: is now called 'early_stopping'", "change the key"),
    ('[[router]]\nuse = "knn"\nfeatures = "big"', "unknown feature set 'big'", "known: default"),
    ('[[router]]\nuse = "random"\nfeatures = "default"', "router 'random' uses no features", "remove the key"),
    ('[[router]]\nuse = "cheapest"', "'cheapest' is taken by another router", "give one of them a label"),
    ('[[router]]\nuse = "knnn"', "there is no router 'knnn'", "did you mean 'knn'"),
    ('[[router]]\nlabel = "x"', "router[1].use: is missing", "one of:"),
    ('[[router]]\nuse = "random"\nlabel = "../x"', "must be usable as the name of a folder", ""),
    ('[[model]]\nname = "m"\ninput_price_per_million = -1', "model[0].input_price_per_million", ""),
    ('[[model]]\nname = "m"\n[[model]]\nname = "m"', "model 'm' is declared twice", "remove one"),
    ('[[dataset]]\nname = "d"\ngroup = "A b"', "dataset[0].group: a task group must be kebab-case", ""),
    ('[[metric]]\nuse = "rank-score"\nbeta = 0', "metric[0].beta: must be > 0, not 0", ""),
    ('[plugin.mlfow]\nuri = "x"', "plugin.mlfow: no loaded plugin 'mlfow' has settings", ""),
    ("[[logs]]", "logs: ", ""),
]


@pytest.mark.parametrize(("text", "said", "fix"), PROBLEMS, ids=[p[1][:40] for p in PROBLEMS])
def test_a_mistake_in_the_file_is_named_with_its_place_and_fix(project: Any, text: str, said: str, fix: str) -> None:
    """A misspelt key or value, a wrong type, an unknown name: exit status 4, the file, the key path, the fix."""
    top, logs = (text, "") if not text.startswith("[") else ("", text)
    requires = "" if "requires" in text else "requires = []\n"
    table = "" if text.startswith("[[logs]]") else '[logs]\nuse = "tiny"\n'
    router = '[[router]]\nuse = "cheapest"\n'
    file = project.file(f'name = "t"\nplugins = ["tiny.py"]\n{requires}{top}\n{table}{router}{logs}\n')
    for command in ("check", "run"):
        shown = project.vlrb(command, file)

        assert shown.status == 4
        assert said in shown.err
        assert str(file) in shown.err
        assert fix in shown.err
    assert not (project.folder / "runs").exists()


def test_all_problems_of_a_file_come_in_one_report(project: Any) -> None:
    """A user mends a file once, not once per problem."""
    shown = project.vlrb(
        "check",
        project.experiment('[[router]]\nuse = "knnn"\n', top="sed = 1", logs="fault = 1\n", more="[split]\nseed = -1"),
    )

    assert shown.status == 4
    assert shown.err.count("error: ") == 4


def test_a_file_that_is_missing_or_no_toml(project: Any) -> None:
    """The command line names the file."""
    assert "there is no file" in project.vlrb("run", "nothing.toml").err
    shown = project.vlrb("run", project.file("name = "))
    assert (shown.status, "is not valid TOML" in shown.err) == (4, True)
    shown = project.vlrb("run", project.folder)
    assert (shown.status, "is a folder" in shown.err) == (4, True)


def test_includes_are_merged_and_contradictions_refused(project: Any) -> None:
    """A value that two files set differently is named with both files; a wrong value with the file it stands in."""
    project.file(
        '[[model]]\nname = "tiny-new"\ninput_price_per_million = 1\noutput_price_per_million = "1"\n', "prices.toml"
    )
    shown = project.vlrb("check", project.experiment(top='include = ["prices.toml"]'))
    assert shown.status == 4
    assert f"{project.folder / 'prices.toml'}: model[0].output_price_per_million: must be a number" in shown.err

    project.file("seeds = [1]\n", "prices.toml")
    shown = project.vlrb("check", project.experiment(top='include = ["prices.toml"]\nseeds = [2]'))
    assert "seeds: is [2] in" in shown.err


def test_an_ambiguous_name_is_an_error_that_lists_the_candidates(project: Any) -> None:
    """Two plugins offer a router of one name: nobody wins, and the full name works."""
    text = project.plugin.read_text(encoding="utf-8").replace('name="counting"', 'name="knn"')
    project.plugin.write_text(text, encoding="utf-8")
    shown = project.vlrb("check", project.experiment('[[router]]\nuse = "knn"\n'))

    assert shown.status == 4
    assert "registered by several plugins" in shown.err
    assert "'feature-routers/knn', 'tiny/knn'" in shown.err
    assert project.vlrb("check", project.experiment('[[router]]\nuse = "tiny/knn"\n')).status == 0


FAULTS = [
    ("no-samples", 4, "dataset 'TinyA' has outcomes but no samples"),
    ("raise", 5, "plugin 'tiny' failed while reading outcomes/"),
    ("no-score-column", 5, "score: missing"),
    ("missing", 4, "tiny-small lacks 2 of 60 samples: TinyB/0, TinyB/1"),
    ("extra", 4, "1 answers of tiny-small belong to no sample of TinyB: TinyB/9999"),
    ("twice", 4, "1 answers are in the logs twice: TinyB/0 of tiny-small"),
    ("empty", 4, "holds no rows"),
    ("unknown", 4, "3 answers of tiny-small have no verdict"),
    ("score-2", 4, "score of sample 'TinyB/0' is 2.0, which is not between 0 and 1"),
    ("negative-cost", 4, "cost of sample 'TinyB/0' is -1.0"),
    ("no-tokens", 4, "the logs record no output_tokens for 3 answers: TinyB/0, TinyB/1, TinyB/2"),
    ("no-image", 4, "TinyA/3: an image cannot be read"),
]


@pytest.mark.parametrize(("fault", "status", "said"), FAULTS, ids=[f[0] for f in FAULTS])
def test_logs_that_cannot_be_trusted_are_refused(project: Any, fault: str, status: int, said: str) -> None:
    """Each fault in the logs is named with sample and place; no benchmark and no run comes of it."""
    shown = project.vlrb("run", project.experiment(logs=f'fault = "{fault}"'))

    assert shown.status == status
    assert said in shown.err
    assert "Traceback" not in shown.err
    assert not list(project.folder.glob(".vlrb-cache/benchmarks/*/manifest.json"))
    assert not (project.folder / "runs").exists()


def test_a_log_source_that_returns_what_was_not_asked_for(project: Any) -> None:
    """The benchmark has the datasets of the experiment file or none, whether it is built or found in the cache."""
    asked = {"logs": 'fault = "unasked"', "more": '[benchmark]\ndatasets = ["TinyA"]'}
    for _ in range(2):
        shown = project.vlrb("run", project.experiment(**asked))
        assert shown.status == 5
        assert "log source 'tiny/tiny' of plugin 'tiny'" in shown.err
        assert "returned datasets that are not asked for: 'TinyB'" in shown.err
    assert project.vlrb("run", project.experiment(more=asked["more"])).status == 0


def test_a_table_of_a_dataset_or_model_that_the_logs_lack(project: Any, caplog: pytest.LogCaptureFixture) -> None:
    """A name that is written wrong would change nothing in silence: it is named with its place and the closest names."""
    tables = '[[dataset]]\nname = "TinyAA"\nsamples = 7\n[[model]]\nname = "tiny-smal"\nparameters = 1.0\n'
    project.file(tables.replace("TinyAA", "Elsewhere").replace("tiny-smal", "elsewhere"), "shared.toml")
    file = project.experiment(more=f'[benchmark]\ndatasets = ["TinyA", "TinyB", "TinyAA"]\n{tables}')
    file.write_text(f'include = ["shared.toml"]\n{file.read_text(encoding="utf-8")}', encoding="utf-8")
    for command in ("check", "build", "run"):
        shown = project.vlrb(command, file)
        assert shown.status == 0
        said = shown.out + caplog.text
        caplog.clear()
        what = "which this table describes"
        assert f"{file}: dataset[0].name: the logs have no dataset 'TinyAA', {what} (did you mean 'TinyA'" in said
        assert f"{file}: model[0].name: the logs have no model 'tiny-smal', {what} (did you mean 'tiny-small'" in said
        assert "elsewhere" not in said.lower()
    assert len(project.vlrb("check", file, "--json").json["warnings"]) == 2


def test_policies_leave_out_what_they_name_and_count_it(project: Any) -> None:
    """missing and unknown: what was left out stands in the results and under the leaderboard."""
    cases = [
        ('fault = "missing"', 'missing = "drop-sample"', 118, 3, "samples that not every model answered (TinyB)", 2),
        (
            'fault = "missing"',
            'missing = "drop-model"',
            120,
            2,
            "models that did not answer every sample (tiny-small)",
            1,
        ),
        ('fault = "unknown"', 'unknown = "drop"', 117, 3, "samples with an answer that no rule can judge (TinyB)", 3),
        ('fault = "unknown"', 'unknown = "wrong"', 120, 3, "counted as wrong (TinyB, tiny-small)", 3),
    ]
    for fault, policy, samples, models, reason, count in cases:
        file = project.experiment(logs=fault, more=f"[benchmark]\n{policy}")
        shown = project.vlrb("run", file, "--json").json["run"]["benchmark"]
        assert (shown["samples"], len(shown["models"])) == (samples, models)
        assert [(r.endswith(reason), c) for r, c in shown["excluded"].items()] == [(True, count)]
        assert f"{count} " in project.vlrb("run", file).out.split("left out or changed: ")[1]


def test_costs_come_from_the_logs_where_they_give_them(project: Any) -> None:
    """A cost in the logs wins over tokens times price, row by row."""
    report = project.vlrb("build", project.experiment(logs='fault = "cost"'), "--json").json
    plain = project.vlrb("build", project.experiment(), "--json").json

    cost = {
        r: {m["name"]: m["cost_per_10k"] * 120 / 1e4 for m in d["models"]}
        for r, d in (("with", report), ("without", plain))
    }
    replaced = 3 * 0.25 - sum((100 + i) * 0.5 + 10 * 1.0 for i in range(3)) / 1e6
    assert cost["with"]["tiny-small"] - cost["without"]["tiny-small"] == pytest.approx(replaced)
    assert cost["with"]["tiny-large"] == cost["without"]["tiny-large"]


def test_a_model_without_a_price_is_an_error_that_names_it(project: Any) -> None:
    """No price is ever made up."""
    text = project.plugin.read_text(encoding="utf-8").replace("input_price_per_million=p, ", "")
    project.plugin.write_text(text, encoding="utf-8")
    shown = project.vlrb("build", project.experiment())

    assert shown.status == 4
    for name in ("tiny-large", "tiny-middle", "tiny-small"):
        assert f"model '{name}' has no price" in shown.err
    table = "".join(
        f'[[model]]\nname = "tiny-{n}"\ninput_price_per_million = 1\noutput_price_per_million = 0.5\n'
        for n in ("large", "middle", "small")
    )
    assert project.vlrb("build", project.experiment(more=table)).status == 0


def test_a_split_that_would_be_empty_is_an_error(project: Any) -> None:
    """No samples for dev means an error, never an evaluation on something else."""
    shown = project.vlrb("run", project.experiment(logs="samples = 2"))

    assert shown.status == 4
    assert "is empty" in shown.err


def test_a_metric_that_returns_nan_is_a_plugin_error(project: Any) -> None:
    """A failure is never a number."""
    shown = project.vlrb("run", project.experiment(more='[[metric]]\nuse = "nan"'))

    assert shown.status == 5
    assert "metric 'tiny/nan' of plugin 'tiny' returned nan" in shown.err


def test_no_router_and_no_finished_run(project: Any) -> None:
    """`run` without routers and `report` without runs say what to do."""
    assert "add a table [[router]]" in project.vlrb("run", project.experiment(routers="")).err
    shown = project.vlrb("report", "nothing")
    assert (shown.status, "there is no finished run 'nothing'" in shown.err) == (4, True)


@pytest.mark.parametrize(
    ("plugin", "router", "said"),
    [
        ("fusions", "knn", "features.default.fusion: there is no fusion 'fusions/normalize-concat'"),
        ("encoders", "knn", "features.default.encoders[0]: there is no encoder 'encoders/hashed-text'"),
        ("fusions", "cheapest", ""),
        ("encoders", "cheapest", ""),
        ("data-report", "knn", ""),
        ("reports", "knn", ""),
        ("metrics", "knn", ": metric: there is no metric 'metrics/accuracy'"),
        ("splits", "knn", ": split: there is no splitter 'splits/grouped'"),
    ],
)
def test_a_default_component_of_a_plugin_left_out(project: Any, plugin: str, router: str, said: str) -> None:
    """A problem among the others where something needs it; a report is left out with its plugin, and it is told."""
    file = project.experiment(f'[[router]]\nuse = "{router}"\n')
    shown = project.vlrb("-p", f"no:{plugin}", "check", file)
    misspelt = project.vlrb(
        "-p", f"no:{plugin}", "check", project.experiment(f'[[router]]\nuse = "{router}"\nlable = 1')
    )

    assert shown.status == (4 if said else 0), shown.err
    assert f"{file}{said}" in shown.err if said.startswith(":") else said in shown.err
    assert ("left out by -p no:, VLRB_DISABLE_PLUGINS or only_plugins" in shown.err) == bool(said)
    assert "router[0].lable: unknown key" in misspelt.err


def test_a_leaderboard_needs_no_report_on_data(project: Any) -> None:
    """`vlrb report` shows what is there."""
    project.vlrb("run", project.experiment())
    shown = project.vlrb("-p", "no:data-report", "report", "t")

    assert shown.status == 0, shown.err
    assert "cheapest" in shown.out


@pytest.mark.parametrize(
    ("returned", "said"),
    [
        ("5", "it returned 5 instead of the keys of an experiment file"),
        ("{'router': 'x'}", "it returned 'x' for 'router' instead of a table"),
        ("{'selection': 'x'}", "it returned 'x' for 'selection' instead of a table"),
        ("{'cost_bound': 'all'}", "the key 'cost_bound', which no experiment file has; did you mean 'cost_bounds'?"),
        ("{1: 1}", "it returned the key 1, which no experiment file has"),
        ("{'only_plugins': []}", "the key 'only_plugins', which is read before plugins are loaded"),
    ],
)
def test_a_protocol_that_returns_no_keys_is_its_plugins_fault(project: Any, returned: str, said: str) -> None:
    """The experiment file, which only names it, is not blamed."""
    plugin = (
        "from vlrb import ProtocolSpec, hookimpl\n@hookimpl\ndef vlrb_protocols():\n"
        f"    return [ProtocolSpec(name='odd', summary='s', factory=lambda _: {returned})]\n"
    )
    project.file(plugin, "odd.py")
    text = project.experiment(top='protocol = "odd"').read_text(encoding="utf-8")
    shown = project.vlrb("check", project.file(text.replace('["tiny.py"]', '["tiny.py", "odd.py"]')))

    assert shown.status == 5
    assert "plugin 'odd' failed while making protocol 'odd/odd'" in shown.err
    assert said in shown.err
