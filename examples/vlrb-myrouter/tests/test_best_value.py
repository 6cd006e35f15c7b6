"""The router keeps the promises of all routers, and chooses what it is meant to on data made for it."""

from vlrb_myrouter import BestValue, Params, vlrb_routers

from vlrb.testing import router_checks

(SPEC,) = vlrb_routers()
test_promises = router_checks(SPEC)


def test_a_cheaper_model_within_the_tolerance_is_chosen(make_labelled, make_context):
    """The tolerance decides between the best model and one that is a little worse and much cheaper."""
    train = make_labelled(4, quality=[[1, 1], [1, 1], [1, 0], [1, 1]], cost=[9.0, 1.0])
    context = make_context(train)

    assert BestValue(Params(tolerance=0.1)).fit(train, train, context).choice == 0
    assert BestValue(Params(tolerance=0.3)).fit(train, train, context).choice == 1


def test_an_experiment_can_use_it(vlrb_run):
    """A whole run on small made-up logs, with the router chosen by its name."""
    ran = vlrb_run('[[router]]\nuse = "best-value"\ntolerance = 0.1\n')

    assert ran.status == 0, ran.err
    assert ran.results["cells"][0]["cell"]["router"] == "myrouter/best-value"
