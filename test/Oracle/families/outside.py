"""Runs blocks whose parts stand elsewhere or report otherwise than `record.run_block` expects."""

import torch

from record import Outcome, run_block


def with_shared_mlp(layer, x):
    """Granite: the decoder layer adds the shared expert."""
    routed = run_block(layer.block_sparse_moe, x)
    routed.y = routed.y + layer.shared_mlp(x)
    return routed


def before_last_norm(block, x):
    """A.X: what the norm at the block's end is given."""
    seen = []
    handle = block.post_mlp_layernorm.register_forward_pre_hook(
        lambda _, given: seen.append(given[0])
    )
    try:
        outcome = run_block(block, x)
    finally:
        handle.remove()
    outcome.y = seen[0].reshape(x.shape)
    return outcome


def router_and_experts(layer, x):
    """Gemma 4: the decoder layer calls both, and norms what the experts see."""
    _, weights, indices = layer.router(x)
    seen = layer.pre_feedforward_layernorm_2(x)
    return Outcome(layer.experts(seen, indices, weights), indices, weights)


def jetmoe(block, x):
    seen = []
    handle = block.router.register_forward_hook(lambda _, __, out: seen.append(out))
    y = block(x[None])[0]
    handle.remove()
    _, token, gates, sizes, _ = seen[0]
    experts = torch.repeat_interleave(torch.arange(len(sizes)), torch.tensor(sizes))
    dense = torch.zeros(len(x), len(sizes), dtype=gates.dtype)
    dense[token, experts] = gates
    chosen = torch.zeros_like(dense, dtype=torch.bool)
    chosen[token, experts] = True
    indices = chosen.nonzero()[:, 1].view(len(x), -1)
    return Outcome(y, indices, dense.gather(1, indices))


def llama4(block, x):
    """Scores of experts not chosen are sigmoid(-inf)."""
    y, _ = block(x[None])
    scores, _ = block.router(x)
    indices = (scores > 0).nonzero()[:, 1].view(len(x), block.top_k)
    return Outcome(y, indices, scores.gather(1, indices))


def switch(block, x):
    """Tokens beyond an expert's capacity have no expert."""
    chosen, weight, _ = block.router(x[None])
    index = torch.where(chosen[0].sum(-1) > 0, chosen[0].argmax(-1), -1)
    return Outcome(block(x[None])[0], index[:, None], weight[0] * (index >= 0)[:, None])


def hash_layer(block, x, token_ids):
    return run_block(block, x, input_ids=token_ids[None])


def inkling(block, x):
    """Shared experts are the last of all, and every token has them."""
    outcome = run_block(block, x)
    *_, gammas = block.gate(x[None])
    always = torch.arange(gammas.shape[-1]) + block.experts.num_experts
    outcome.indices = torch.cat([outcome.indices, always.expand(len(x), -1)], -1)
    outcome.weights = torch.cat([outcome.weights, gammas.view(len(x), -1)], -1)
    return outcome


def zaya(block, x, router_state=None):
    """The code gives the skip expert as expert 0 with weight 0; here it is the last, as scored."""
    state = None if router_state is None else router_state[None]
    outcome = run_block(block, x, prev_router_hidden_states=state)
    logits, *_, following = block.gate(x[None], router_states=state)
    scores = torch.softmax(logits, -1).float() + block.gate.balancing_biases
    skipped = scores.argmax(-1, keepdim=True) == block.experts.num_experts
    outcome.indices = torch.where(skipped, block.experts.num_experts, outcome.indices)
    outcome.router_state_next = following[0]
    return outcome


def nllb(block, x):
    """As of 4.x: in 5.23 the experts take the first choice's mask, of 0 and 1, for indices."""
    _, gates, _ = block.router(x)
    experts, keep = block.experts, 1 - block.experts.moe_token_dropout
    parts = [gates[:, e, None] * experts[f"expert_{e}"](x) * keep for e in range(gates.shape[1])]
    weights, indices = torch.topk(gates, 2)
    return Outcome(sum(parts), indices, weights)
