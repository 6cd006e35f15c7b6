"""The router keeps the promises of all routers, and chooses what it is meant to on data made for it."""

from vlrb.testing import router_checks

from vlrb_my_router import vlrb_routers

(SPEC,) = vlrb_routers()
test_promises = router_checks(SPEC, threshold=30)


def test_long_questions_go_to_the_most_accurate_model(make_labelled, make_queries, make_context):
    """The first model is right more often, the second one is cheaper."""
    train = make_labelled(4, quality=[[1, 0], [1, 0], [1, 1], [1, 0]], cost=[0.02, 0.001])
    fitted = SPEC.factory(SPEC.params(threshold=10)).fit(train, train, make_context(train))

    assert fitted.route(make_queries(["short?", "a long question?"], candidates=2)).tolist() == [1, 0]


def test_an_experiment_can_use_it(vlrb_run):
    """A whole run on small made-up logs, with the router chosen by its name."""
    ran = vlrb_run('[[router]]\nuse = "my-router"\nthreshold = 30\n')

    assert ran.status == 0, ran.err
    assert ran.results["cells"][0]["cell"]["router"] == "my-router/my-router"
