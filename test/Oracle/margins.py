"""How close a choice was.

Where two values that decide a choice differ by less than narrower arithmetic
can tell, another result is no error. Equal values that any arithmetic finds
equal are not close: there the rule for ties decides.
"""

import numpy as np

from floats import FLOATS
from routing import (
    descending,
    exact_logits,
    load_penalty,
    logits,
    mask_groups,
    selection_bias,
)
from specs import has_selection_bias


def _gap(a, b, scale):
    """(a - b) in terms of `scale`, with a floor where f32 runs out of exponents."""
    with np.errstate(all="ignore"):
        gap = np.abs(a - b) / np.maximum(scale, 1e-30)
    same = (a == b) | (np.isnan(a) & np.isnan(b))  # -inf beside -inf has no gap to measure
    return np.where(same, 0.0, np.where(np.isnan(gap), np.inf, gap))


def _amplification(spec, l):
    """How much larger than one rounding a logit's error may be, per token [T]."""
    if exact_logits(spec) and spec["router"]["softcap"] == 0:
        return np.ones(len(l))
    return np.maximum(1.0, np.max(np.abs(l), axis=1, initial=0.0))


def rounding_margin(spec, weights, x, router_state=None):
    """Per token, how close its logits are to where rounding them to the activation type flips."""
    router, dtype = spec["router"], spec["dtype"]["activation"]
    projection = router["projection"]
    exact = exact_logits(spec) and router["softcap"] == 0
    if projection["dtype"] != "input" or dtype == "f32" or exact:
        return np.full(len(x), np.inf)
    wide = dict(spec, router=dict(router, projection=dict(projection, dtype="f32")))
    l = logits(wide, weights, x, router_state)
    with np.errstate(all="ignore"):
        spacing = np.ldexp(1.0, np.frexp(l)[1] - FLOATS[dtype][0])
        distance = np.abs(l / spacing - np.floor(l / spacing) - 0.5) * spacing
        relative = distance / np.maximum(np.max(np.abs(l), axis=1, keepdims=True), 1e-30)
    # A flip takes an error of a few f32 roundings, so it is a tenth as easy as other ties.
    return 10 * np.min(relative, axis=1, initial=np.inf)


def _term_size(spec, weights, state, s):
    """Size of the terms that q is the sum of [T, N]: what its rounding errors are relative to."""
    size = np.abs(s)
    router = spec["router"]
    of_logits = router["score_on"] == "selected" or router["strategy"] == "sparsemixer"
    if router["score"] != "softmax" or of_logits:
        size = np.broadcast_to(np.max(size, axis=1, keepdims=True, initial=0.0), s.shape)
    if has_selection_bias(spec):
        size = size + np.abs(selection_bias(spec, weights, state))
    if spec["router"]["load_balancing"] == "load_aware":
        size = size + np.abs(load_penalty(spec, state))
    return size


def _added(spec, weights, state, experts):
    """What is added to each expert's score [N]; equal scores stay equal where this is equal."""
    added = np.zeros(experts)
    if has_selection_bias(spec):
        added = added + selection_bias(spec, weights, state)
    if spec["router"]["load_balancing"] == "load_aware":
        added = added - load_penalty(spec, state)
    return added


def _tied(spec, exact, sa, sb, ba, bb):
    """Whether q = s + b is the very same for both in any arithmetic.

    It is where equal exact logits give equal scores, and where the score is the logit.
    """
    router = spec["router"]
    plain = router["score"] == "identity" or router["score_on"] == "selected"
    if plain and router["softcap"] == 0 and router["load_balancing"] != "load_aware":
        return exact & (sa + ba == sb + bb)
    return exact & (sa == sb) & (ba == bb)


def _exact_tokens(spec, l):
    """Where f32 finds the very same logits [T]: always, or where they are sums of nothing."""
    return np.full(len(l), exact_logits(spec)) | (l == 0).all(axis=1)


def group_margin(spec, exact, size, added, s, q):
    """Per token, the relative gap between the last group kept and the first one lost."""
    groups = spec["router"]["groups"]
    count, keep = groups["count"], groups["keep"]
    _, group_scores, _ = mask_groups(spec, q)
    if keep == count:
        return np.full(len(q), np.inf)
    parts = (len(q), count, q.shape[1] // count)
    rows, order = np.arange(len(q)), descending(group_scores)
    last, first = order[:, keep - 1], order[:, keep]
    group_size = size.reshape(parts).max(axis=2)
    scale = np.maximum(group_size[rows, last], group_size[rows, first])
    gap = _gap(group_scores[rows, last], group_scores[rows, first], scale)

    tops = descending(q.reshape(parts))[..., : 1 if groups["reduce"] == "max" else 2]

    def terms(values):
        best = np.take_along_axis(values.reshape(parts), tops, axis=2)
        return best[rows, last], best[rows, first]

    tied = _tied(spec, exact[:, None], *terms(s), *terms(added)).all(axis=1)
    return np.where(tied, np.inf, gap)


def choice_margin(spec, weights, state, l, s, q):
    """Per token, the smallest relative gap that decided who is chosen and in which order."""
    size, exact = _term_size(spec, weights, state, s), _exact_tokens(spec, l)
    added = np.broadcast_to(_added(spec, weights, state, q.shape[1]), q.shape)
    margin = np.full(len(q), np.inf)
    masked = np.zeros(q.shape, bool)
    if spec["router"]["groups"]["count"] > 1:
        margin = group_margin(spec, exact, size, added, s, q)
        q, _, kept = mask_groups(spec, q)
        masked = ~np.repeat(kept, q.shape[1] // kept.shape[1], axis=1)
    order = descending(q)
    for j in range(min(spec["router"]["top_k"], q.shape[1] - 1)):

        def pair(values):
            return (np.take_along_axis(values, order[:, i : i + 1], 1)[:, 0] for i in (j, j + 1))

        (qa, qb), (za, zb), (sa, sb), (ba, bb) = pair(q), pair(size), pair(s), pair(added)
        ma, mb = pair(masked)
        gap = _gap(qa, qb, np.maximum(za, zb))
        tied = np.where(ma | mb, ma & mb, _tied(spec, exact, sa, sb, ba, bb)) & (qa == qb)
        margin = np.minimum(margin, np.where(tied, np.inf, gap))
    return margin / _amplification(spec, l)


def sparsemixer_margin(spec, weights, state, l, near):
    """Of the choice of two, and of which logits count beside them."""
    choice = choice_margin(spec, weights, state, l, l, l)
    return np.minimum(choice, near / _amplification(spec, l))


def expert_choice_margin(spec, weights, state, l, s, q, taken):
    """Per token, the smallest relative gap to one on the other side of an expert's cut."""
    margin = np.full(len(q), np.inf)
    size = _term_size(spec, weights, state, s)
    for e in range(q.shape[1]):
        inside, outside = np.flatnonzero(taken[:, e]), np.flatnonzero(~taken[:, e])
        if not len(inside) or not len(outside):
            continue
        last = inside[descending(q[inside, e])[-1]]
        first = outside[descending(q[outside, e])[0]]
        for tokens, other in ((inside, first), (outside, last)):
            gap = _gap(q[tokens, e], q[other, e], np.maximum(size[tokens, e], size[other, e]))
            exact = exact_logits(spec) or q.shape[1] == 1
            tied = _tied(spec, exact, s[tokens, e], s[other, e], 0.0, 0.0)
            if (
                spec["router"]["score"] == "softmax" and q.shape[1] > 1
            ):  # the sums below the line differ otherwise
                tied &= np.all(l[tokens] == l[other], axis=1)
            margin[tokens] = np.minimum(margin[tokens], np.where(tied, np.inf, gap))
    return margin / _amplification(spec, l)


def capacity_margin(spec, margin, ordered, limit, slots, w, l):
    """Lowers the margins of the tokens whose slots kept or lost a place by little."""
    router = spec["router"]
    softmaxed = router["score"] == "softmax" and slots > 1
    last, first = ordered[limit - 1], ordered[limit]
    for some, other in ((ordered[:limit], first), (ordered[limit:], last)):
        gap = _gap(w[some], w[other], np.maximum(np.abs(w[some]), np.abs(w[other])))
        tied = w[some] == w[other]
        # Weights made from whole rows of logits are the very same only if the rows are.
        if l is not None and slots > 1 and (softmaxed or router["renormalize"]):
            tied &= np.all(l[some // slots] == l[other // slots], axis=1)
        np.minimum.at(margin, some // slots, np.where(tied, np.inf, gap))
