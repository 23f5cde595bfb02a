//===- KeyTable.cpp - The keys of the native form -------------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "KeyBinding.h"

using namespace moe;
using namespace moe::keys;

namespace {

/// The version of the format: a key with one value and no field.
Key version() {
  Key key{"moe_spec", KeyType::integer};
  key.minInteger = key.maxInteger = 1;
  key.set = [](Spec &, const Scalar &) {};
  key.get = [](const Spec &) -> Scalar { return int64_t(1); };
  return key;
}

Key accumulate() {
  Key key{"dtype.accumulate", KeyType::choice};
  key.values = {"f32"};
  key.set = [](Spec &, const Scalar &) {};
  key.get = [](const Spec &) -> Scalar { return int64_t(0); };
  return key;
}

/// Softmax has no function, so the key fills two fields.
Key score() {
  Key key{"router.score", KeyType::score};
  key.set = [](Spec &spec, const Scalar &scalar) {
    const std::string &text = std::get<std::string>(scalar);
    bool softmax = text == "softmax";
    spec.router.score = softmax ? Score::softmax : Score::function;
    spec.router.scoreFunction = Expression();
    if (!softmax)
      spec.router.scoreFunction.text = text;
  };
  key.get = [](const Spec &spec) -> Scalar {
    return spec.router.score == Score::softmax ? std::string("softmax")
                                               : spec.router.scoreFunction.text;
  };
  return key;
}

/// `true` is short for the object with its defaults.
Key renormalize() {
  Key key{"router.renormalize", KeyType::renormalize};
  key.set = [](Spec &spec, const Scalar &scalar) {
    spec.router.renormalize =
        std::get<bool>(scalar) ? Renormalize::add : Renormalize::none;
  };
  key.get = [](const Spec &spec) -> Scalar {
    return spec.router.renormalize != Renormalize::none;
  };
  return key;
}

/// The names begin at the enum's second value: none is written `false`.
Key renormalizeMode() {
  Key key{"router.renormalize.mode", KeyType::choice};
  key.values = {"add", "clamp"};
  key.set = [](Spec &spec, const Scalar &scalar) {
    spec.router.renormalize =
        std::get<int64_t>(scalar) == 0 ? Renormalize::add : Renormalize::clamp;
  };
  key.get = [](const Spec &spec) -> Scalar {
    return int64_t(spec.router.renormalize == Renormalize::clamp);
  };
  return key;
}

Key functionList() {
  Key key{"functions", KeyType::functions};
  key.values = {"forward",    "step",    "quantize",     "dequantize",
                "accumulate", "average", "average_group"};
  return key;
}

/// Sources have a reader and a printer of their own.
Key tensors() {
  Key key{"weights.tensors", KeyType::tensors};
  key.get = [](const Spec &spec) -> Scalar {
    return spec.weights.tensors.empty() ? Scalar() : Scalar(true);
  };
  return key;
}

} // namespace

// The order of each list of names is that of its enum.
static std::vector<Key> makeTable() {
  using S = Spec;
  using R = RouterSpec;
  using P = ProjectionSpec;
  using N = InputNormSpec;
  using G = GroupsSpec;
  using E = ExpertsSpec;
  using Q = QuantizationSpec;
  using C = CapacitySpec;
  using L = LossesSpec;
  using D = DTypeSpec;
  using X = ParallelSpec;
  using A = AveragingSpec;
  using T = KeyType;
  constexpr auto router = &S::router;
  constexpr auto projection = &R::projection;
  constexpr auto inputNorm = &R::inputNorm;
  constexpr auto groups = &R::groups;
  constexpr auto experts = &S::experts;
  constexpr auto expertQuant = &E::quantization;
  constexpr auto shared = &S::shared;
  constexpr auto sharedQuant = &SharedSpec::quantization;
  constexpr auto capacity = &S::capacity;
  constexpr auto losses = &S::losses;
  constexpr auto dtype = &S::dtype;
  constexpr auto parallel = &S::parallel;
  constexpr auto averaging = &S::averaging;
  constexpr auto weights = &S::weights;
  constexpr int64_t maxInt64 = std::numeric_limits<int64_t>::max();
  const std::vector<std::string_view> types = {"f32", "bf16", "f16"};
  const std::vector<std::string_view> gateUp = {"separate", "concatenated",
                                                "interleaved"};
  const std::vector<std::string_view> weightKinds = {
      "none", "fp8_e4m3", "int8", "int4", "mxfp4", "nvfp4"};
  const std::vector<std::string_view> activations = {"none", "fp8_e4m3"};

  // clang-format off
  return {
    version(),
    text<&S::name>("name", 64),
    required<&S::hidden>("hidden"),
    required<router, &R::experts>("router.experts"),
    required<router, &R::topK>("router.top_k"),
    choice<router, &R::strategy>("router.strategy",
        {"learned", "hash", "random", "load_based", "similarity", "table", "sparsemixer"}),
    score(),
    choice<router, &R::scoreOn>("router.score_on", {"all", "selected"}),
    renormalize(),
    number<router, &R::renormalizeEps>("router.renormalize.eps"),
    renormalizeMode(),
    positive<router, &R::renormalizeP>("router.renormalize.p"),
    positive<router, inputNorm, &N::eps>("router.input_norm.eps"),
    number<router, inputNorm, &N::factor>("router.input_norm.factor"),
    choice<router, projection, &P::form>("router.projection.form", {"feed_forward", "recurrent"}),
    integer<router, projection, &P::layers>("router.projection.layers", 1, 2),
    size<router, projection, &P::hidden>("router.projection.hidden"),
    bind<router, projection, &P::activation>("router.projection.activation", T::activation),
    flag<router, projection, &P::bias>("router.projection.bias"),
    choice<router, projection, &P::inputPrecision>("router.projection.dtype", {"f32", "input"}),
    positive<router, projection, &P::eps>("router.projection.eps"),
    flag<router, projection, &P::chained>("router.projection.chained"),
    number<router, &R::scale>("router.scale"),
    flag<router, &R::expertScale>("router.expert_scale"),
    notNegative<router, &R::softcap>("router.softcap"),
    flag<router, &R::selectionBias>("router.selection_bias"),
    size<router, groups, &G::count>("router.groups.count"),
    size<router, groups, &G::keep>("router.groups.keep"),
    choice<router, groups, &G::reduce>("router.groups.reduce", {"max", "sum_top2"}),
    choice<router, groups, &G::fill>("router.groups.fill", {"zero", "neg_inf"}),
    positive<router, &R::temperature>("router.temperature"),
    notNegative<router, &R::threshold>("router.threshold"),
    integer<router, &R::vocabulary>("router.vocabulary", 0),
    integer<router, &R::alwaysOn>("router.always_on", 0),
    choice<router, &R::balancing>("router.load_balancing",
        {"token_choice", "expert_choice", "dynamic", "round_robin", "load_aware"}),
    number<router, &R::balanceRate>("router.balance.rate"),
    number<router, &R::balanceLambda>("router.balance.lambda"),
    positive<router, &R::balanceFactor>("router.balance.factor"),
    integer<router, &R::nullExperts>("router.null_experts.count", 0),
    choice<router, &R::nullKind>("router.null_experts.kind", {"identity", "skip"}),
    choice<router, &R::weightOn>("router.weight_on", {"output", "input"}),
    integer<router, &R::seed>("router.seed", 0, maxInt64),
    required<experts, &E::intermediate>("experts.intermediate"),
    choice<experts, &E::form>("experts.form", {"glu", "mlp"}),
    bind<experts, &E::activation>("experts.activation", T::activation),
    flag<experts, &E::bias>("experts.bias"),
    flag<experts, &E::outputBias>("experts.output_bias"),
    choice<experts, &E::gateUp>("experts.gate_up", gateUp),
    integer<experts, &E::latent>("experts.latent", 0),
    positive<experts, &E::inputNorm>("experts.input_norm"),
    positive<experts, &E::latentNorm>("experts.latent_norm"),
    choice<experts, expertQuant, &Q::kind>("experts.quantization.kind", weightKinds),
    pair<experts, expertQuant, &Q::block>("experts.quantization.block"),
    flag<experts, expertQuant, &Q::zeroPoints>("experts.quantization.zero_points"),
    choice<experts, expertQuant, &Q::activations>("experts.quantization.activations", activations),
    integer<shared, &SharedSpec::intermediate>("shared.intermediate", 0),
    bind<shared, &SharedSpec::activation>("shared.activation", T::activation),
    choice<shared, &SharedSpec::gateUp>("shared.gate_up", gateUp),
    choice<shared, &SharedSpec::gate>("shared.gate", {"none", "sigmoid", "softmax2"}),
    number<shared, &SharedSpec::scale>("shared.scale"),
    choice<shared, sharedQuant, &Q::kind>("shared.quantization.kind", weightKinds),
    pair<shared, sharedQuant, &Q::block>("shared.quantization.block"),
    flag<shared, sharedQuant, &Q::zeroPoints>("shared.quantization.zero_points"),
    choice<shared, sharedQuant, &Q::activations>("shared.quantization.activations", activations),
    positive<capacity, &C::factor>("capacity.factor"),
    size<capacity, &C::tokens>("capacity.tokens"),
    choice<capacity, &C::overflow>("capacity.overflow", {"drop", "pass_through"}),
    choice<capacity, &C::scope>("capacity.scope", {"global", "local"}),
    choice<capacity, &C::priority>("capacity.priority", {"token_order", "probability", "choice_order"}),
    notNegative<losses, &L::loadBalance>("losses.load_balance"),
    choice<losses, &L::loadBalanceForm>("losses.load_balance_form", {"hf", "switch"}),
    notNegative<losses, &L::importance>("losses.importance"),
    notNegative<losses, &L::routerZ>("losses.router_z"),
    choice<dtype, &D::activation>("dtype.activation", types),
    choice<dtype, &D::weights>("dtype.weights", types),
    choice<dtype, &D::router>("dtype.router", types),
    accumulate(),
    choice<dtype, &D::products>("dtype.products", {"f32", "tf32"}),
    size<parallel, &X::dp>("parallel.grid.dp"),
    size<parallel, &X::ep>("parallel.grid.ep"),
    size<parallel, &X::tp>("parallel.grid.tp"),
    choice<parallel, &X::expertsOn>("parallel.experts_on", {"ep", "tp"}),
    choice<parallel, &X::exchange>("parallel.exchange",
        {"all_to_all", "point_to_point", "hierarchical", "ring"}),
    choice<parallel, &X::rows>("parallel.rows", {"exact", "padded"}),
    choice<parallel, &X::wire>("parallel.wire", {"none", "bf16", "fp8_e4m3", "int8"}),
    integer<parallel, &X::wireBlock>("parallel.wire_block", 1, 1 << 20),
    integer<parallel, &X::chunks>("parallel.chunks", 1, 8),
    flag<parallel, &X::sequenceParallel>("parallel.sequence_parallel"),
    flag<parallel, &X::fsdp>("parallel.fsdp"),
    size<parallel, &X::expertsPerDevice>("parallel.experts_per_device"),
    lists<parallel, &X::placement>("parallel.placement"),
    size<averaging, &A::groupSize>("averaging.group_size"),
    integer<averaging, &A::matchTimeoutMs>("averaging.match_timeout_ms", 0),
    integer<averaging, &A::exchangeTimeoutMs>("averaging.exchange_timeout_ms", 0),
    choice<averaging, &A::compression>("averaging.compression.kind",
        {"none", "blockwise_int8", "fp8_e4m3", "fp8_e5m2", "mxfp4", "int4", "fp16"}),
    integer<averaging, &A::block>("averaging.compression.block", 1, 1 << 20), // [S16]
    choice<averaging, &A::over>("averaging.over", {"grid", "dp"}),
    flag<averaging, &A::errorFeedback>("averaging.error_feedback"),
    functionList(),
    integer<weights, &WeightsSpec::layer>("weights.layer", 0),
    texts<weights, &WeightsSpec::prefix>("weights.prefix"),
    tensors(),
    optionalTexts<weights, &WeightsSpec::ignore>("weights.ignore"),
  };
  // clang-format on
}

const std::vector<Key> &moe::keyTable() {
  static const std::vector<Key> table = makeTable();
  return table;
}
