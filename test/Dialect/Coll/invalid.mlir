// Every diagnostic of the verifiers.

// RUN: moe-opt %s --split-input-file --verify-diagnostics

//===----------------------------------------------------------------------===//
// The grid
//===----------------------------------------------------------------------===//

// expected-error @below {{unknown attribute 'coll.gird'; expected 'coll.grid'}}
module attributes {coll.gird = {ep = 2}} {}

// -----

// expected-error @below {{expected 'coll.grid' on a module}}
func.func private @function() attributes {coll.grid = {ep = 2}}

// -----

// expected-error @below {{expected 'coll.grid' to be as {dp = 1, ep = 2, tp = 2}, found 8}}
module attributes {coll.grid = 8} {}

// -----

// expected-error @below {{expected 'coll.grid' to be as {dp = 1, ep = 2, tp = 2}, found {}}}
module attributes {coll.grid = {}} {}

// -----

// expected-error @below {{unknown axis 'pp' in 'coll.grid'; expected dp, ep or tp; did you mean 'dp'?}}
module attributes {coll.grid = {pp = 2}} {}

// -----

// expected-error @below {{expected axis 'ep' of 'coll.grid' to have a size from 1 to 2^31 - 1, found 0}}
module attributes {coll.grid = {ep = 0}} {}

// -----

// expected-error @below {{expected axis 'tp' of 'coll.grid' to have a size from 1 to 2^31 - 1, found "2"}}
module attributes {coll.grid = {tp = "2"}} {}

// -----

// expected-error @below {{expected 'coll.grid' of at most 2^31 - 1 ranks, found}}
module attributes {coll.grid = {dp = 65536, ep = 65536}} {}

// -----

//===----------------------------------------------------------------------===//
// Axes
//===----------------------------------------------------------------------===//

func.func @no_axis() {
  // expected-error @below {{'coll.barrier' op expected at least 1 axis, found 0}}
  coll.barrier over []
  return
}

// -----

func.func @unknown_axis() {
  // expected-error @below {{unknown axis 'epp'; expected dp, ep or tp; did you mean 'ep'?}}
  coll.barrier over [epp]
  return
}

// -----

func.func @axis_twice() {
  // expected-error @below {{expected each axis once, found 'ep' again}}
  coll.barrier over [dp, ep, ep]
  return
}

// -----

func.func @axes_in_disorder(%x: tensor<4xf32>) {
  // expected-error @below {{expected axes in the order dp, ep, tp, found 'ep' after 'tp'}}
  %0 = coll.all_reduce sum %x over [tp, ep] : (tensor<4xf32>) -> tensor<4xf32>
  return
}

// -----

module attributes {coll.grid = {dp = 2, ep = 2}} {
func.func @axis_of_no_grid() {
  // expected-error @below {{expected axes of the grid {dp = 2 : i64, ep = 2 : i64}, found 'tp'}}
  %0 = coll.index over [ep, tp] : () -> tensor<i32>
  return
}
}

// -----

func.func @axis_no_name() {
  // expected-error @below {{expected valid keyword}}
  coll.barrier over ["ep"]
  return
}

// -----

//===----------------------------------------------------------------------===//
// Members
//===----------------------------------------------------------------------===//

module attributes {coll.grid = {dp = 2, ep = 2, tp = 3}} {
func.func @root(%x: tensor<4xf32>) {
  // expected-error @below {{expected 'root' from 0 to 5, found 6}}
  %0 = coll.broadcast %x over [ep, tp] {root = 6 : i64} : (tensor<4xf32>) -> tensor<4xf32>
  return
}
}

// -----

func.func @to(%x: tensor<4xf32>) {
  // expected-error @below {{expected 'to' from 0 to 2147483646, found -1}}
  coll.send %x over [ep] {to = -1 : i64} : (tensor<4xf32>) -> ()
  return
}

// -----

module attributes {coll.grid = {ep = 2}} {
func.func @from() {
  // expected-error @below {{expected 'from' from 0 to 1, found 2}}
  %0 = coll.recv over [ep] {from = 2 : i64} : () -> tensor<4xf32>
  return
}
}

// -----

//===----------------------------------------------------------------------===//
// Elements
//===----------------------------------------------------------------------===//

func.func @sum_of_bytes(%x: tensor<4xi8>) {
  // expected-error @below {{operand #0 must be ranked tensor of 32-bit float or bfloat16 type or 16-bit float or 32-bit signless integer or 64-bit signless integer values}}
  %0 = coll.all_reduce sum %x over [ep] : (tensor<4xi8>) -> tensor<4xi8>
  return
}

// -----

func.func @f64(%x: tensor<4xf64>) {
  // expected-error @below {{operand #0 must be ranked tensor of}}
  %0 = coll.all_gather %x over [ep] : (tensor<4xf64>) -> tensor<8xf64>
  return
}

// -----

func.func @other_elements(%x: tensor<4xf32>) {
  // expected-error @below {{expected 'y' of 'f32', the element type of 'x', found 'bf16'}}
  %0 = coll.all_reduce sum %x over [ep] : (tensor<4xf32>) -> tensor<4xbf16>
  return
}

// -----

func.func @other_scalar(%x: tensor<f32>) {
  // expected-error @below {{expected 'y' of 'f32', the element type of 'x', found 'f16'}}
  %0 = coll.broadcast %x over [ep] {root = 0 : i64} : (tensor<f32>) -> tensor<f16>
  return
}

// -----

func.func @counts(%x: tensor<4xf32>, %c: tensor<4xi64>) {
  // expected-error @below {{operand #1 must be ranked tensor of 32-bit signless integer values}}
  %0 = coll.all_to_all_v %x, %c, %c over [ep]
      : (tensor<4xf32>, tensor<4xi64>, tensor<4xi64>) -> tensor<4xf32>
  return
}

// -----

//===----------------------------------------------------------------------===//
// Shapes
//===----------------------------------------------------------------------===//

// expected-note @below {{'x' has R = 4}}
func.func @reduce_shape(%x: tensor<4x8xf32>) {
  // expected-error @below {{expected 'y' of shape [R, d1] with R = 4, found 'tensor<5x8xf32>'}}
  %0 = coll.all_reduce sum %x over [ep] : (tensor<4x8xf32>) -> tensor<5x8xf32>
  return
}

// -----

func.func @scalar(%x: tensor<f32>) {
  // expected-error @below {{expected 'y' of shape [], found 'tensor<1xf32>'}}
  %0 = coll.all_reduce sum %x over [ep] : (tensor<f32>) -> tensor<1xf32>
  return
}

// -----

func.func @scattered_scalar(%x: tensor<f32>) {
  // expected-error @below {{expected 'x' of shape [n*R], found 'tensor<f32>'}}
  %0 = coll.reduce_scatter sum %x over [ep] : (tensor<f32>) -> tensor<f32>
  return
}

// -----

module attributes {coll.grid = {ep = 3}} {
func.func @scattered(%x: tensor<4xf32>) {
  // expected-error @below {{expected 'x' of shape [n*R] with n*R = 6, found 'tensor<4xf32>'}}
  %0 = coll.reduce_scatter sum %x over [ep] : (tensor<4xf32>) -> tensor<2xf32>
  return
}
}

// -----

module attributes {coll.grid = {ep = 2, tp = 2}} {
func.func @gathered(%x: tensor<4x3xbf16>) {
  // expected-error @below {{expected 'y' of shape [n*R, d1] with n*R = 16, found 'tensor<8x3xbf16>'}}
  %0 = coll.all_gather %x over [ep, tp] : (tensor<4x3xbf16>) -> tensor<8x3xbf16>
  return
}
}

// -----

module attributes {coll.grid = {ep = 3}} {
func.func @blocks(%x: tensor<4xi32>) {
  // expected-error @below {{expected 'x' of a multiple of 3 rows, one share for each member, found 4}}
  %0 = coll.all_to_all %x over [ep] : (tensor<4xi32>) -> tensor<4xi32>
  return
}
}

// -----

module attributes {coll.grid = {ep = 3}} {
func.func @counts_of_members(%x: tensor<4xf32>, %c: tensor<4xi32>) {
  // expected-error @below {{expected 'send' of a multiple of 3 rows, one share for each member, found 4}}
  %0 = coll.all_to_all_v %x, %c, %c over [ep]
      : (tensor<4xf32>, tensor<4xi32>, tensor<4xi32>) -> tensor<4xf32>
  return
}
}

// -----

// expected-note @below {{'send' has n*p = 4}}
func.func @counts_differ(%x: tensor<4xf32>, %c: tensor<4xi32>, %d: tensor<2xi32>) {
  // expected-error @below {{expected 'receive' of shape [n*p] with n*p = 4, found 'tensor<2xi32>'}}
  %0 = coll.all_to_all_v %x, %c, %d over [ep]
      : (tensor<4xf32>, tensor<4xi32>, tensor<2xi32>) -> tensor<4xf32>
  return
}

// -----

func.func @encoding(%x: tensor<4xf32, "sparse">) {
  // expected-error @below {{expected 'x' without an encoding, found 'tensor<4xf32, "sparse">'}}
  coll.send %x over [ep] {to = 0 : i64} : (tensor<4xf32, "sparse">) -> ()
  return
}

// -----

func.func @index_of_rows() {
  // expected-error @below {{expected 'index' of shape [], found 'tensor<2xi32>'}}
  %0 = coll.index over [ep] : () -> tensor<2xi32>
  return
}

// -----

//===----------------------------------------------------------------------===//
// Rows that no operand has
//===----------------------------------------------------------------------===//

func.func @rows_missing(%x: tensor<?x8xf32>) {
  // expected-error @below {{expected a size such as "R" or "8*R" in 'rows' with a result of 'tensor<?x8xf32>'}}
  %0 = coll.all_gather %x over [ep] : (tensor<?x8xf32>) -> tensor<?x8xf32>
  return
}

// -----

func.func @rows_wrong(%x: tensor<?x8xf32>) {
  // expected-error @below {{expected a size such as "R" or "8*R" in 'rows' with a result of 'tensor<?x8xf32>', found "R*8"}}
  %0 = coll.reduce_scatter sum %x over [ep] {rows = "R*8"}
      : (tensor<?x8xf32>) -> tensor<?x8xf32>
  return
}

// -----

func.func @rows_needless() {
  // expected-error @below {{expected no 'rows' with a result of 'tensor<4xf32>', found "R"}}
  %0 = coll.recv over [ep] {from = 0 : i64, rows = "R"} : () -> tensor<4xf32>
  return
}

// -----

func.func @bound_missing(%x: tensor<4xf32>, %c: tensor<4xi32>) {
  // expected-error @below {{expected a size such as "R" or "8*R" in 'bound' with a result of 'tensor<?xf32>'}}
  %0 = coll.all_to_all_v %x, %c, %c over [ep]
      : (tensor<4xf32>, tensor<4xi32>, tensor<4xi32>) -> tensor<?xf32>
  return
}

// -----

func.func @padded(%x: tensor<?x8xf32>, %c: tensor<4xi32>) {
  // expected-error @below {{'coll.all_to_all_v' op expected a size such as "R" or "8*R" in 'pair' with the mode padded}}
  %0 = coll.all_to_all_v %x, %c, %c over [ep] mode padded {bound = "R"} : (tensor<?x8xf32>, tensor<4xi32>, tensor<4xi32>) -> tensor<?x8xf32>
  return
}

// -----

func.func @exact(%x: tensor<?x8xf32>, %c: tensor<4xi32>) {
  // expected-error @below {{'coll.all_to_all_v' op expected no 'pair' with the mode exact}}
  %0 = coll.all_to_all_v %x, %c, %c over [ep] {bound = "R", pair = "R"} : (tensor<?x8xf32>, tensor<4xi32>, tensor<4xi32>) -> tensor<?x8xf32>
  return
}

// -----

module attributes {coll.grid = {dp = 1 : i64, ep = 2 : i64, tp = 1 : i64}} {
func.func @no_places(%x: tensor<?x8xf32>, %c: tensor<4xi32>) {
  // expected-error @below {{'coll.start_all_to_all_v' op expected some places of 2, found 1 to 1}}
  %0 = coll.start_all_to_all_v %x, %c, %c places 1 to 1 of send over [ep] : (tensor<?x8xf32>, tensor<4xi32>, tensor<4xi32>) -> !coll.pending
  %1 = coll.wait %0 {rows = "R"} : (!coll.pending) -> tensor<?x8xf32>
  return
}
}

// -----

module attributes {coll.grid = {dp = 1 : i64, ep = 2 : i64, tp = 1 : i64}} {
func.func @places_past_the_last(%x: tensor<?x8xf32>, %c: tensor<4xi32>) {
  // expected-error @below {{expected some places of 2, found 0 to 3}}
  %0 = coll.start_all_to_all_v %x, %c, %c places 0 to 3 of send over [ep] : (tensor<?x8xf32>, tensor<4xi32>, tensor<4xi32>) -> !coll.pending
  %1 = coll.wait %0 {rows = "R"} : (!coll.pending) -> tensor<?x8xf32>
  return
}
}

// -----

module attributes {coll.grid = {dp = 1 : i64, ep = 2 : i64, tp = 1 : i64}} {
func.func @nobody_waits(%x: tensor<?x8xf32>, %c: tensor<4xi32>) {
  // expected-error @below {{expected to be waited for by one coll.wait}}
  %0 = coll.start_all_to_all_v %x, %c, %c places 0 to 1 of send over [ep] : (tensor<?x8xf32>, tensor<4xi32>, tensor<4xi32>) -> !coll.pending
  return
}
}

// -----

module attributes {coll.grid = {dp = 1 : i64, ep = 2 : i64, tp = 1 : i64}} {
func.func @two_wait(%x: tensor<?x8xf32>, %c: tensor<4xi32>) {
  // expected-error @below {{expected to be waited for by one coll.wait}}
  %0 = coll.start_all_to_all_v %x, %c, %c places 0 to 1 of send over [ep] : (tensor<?x8xf32>, tensor<4xi32>, tensor<4xi32>) -> !coll.pending
  %1 = coll.wait %0 {rows = "R"} : (!coll.pending) -> tensor<?x8xf32>
  %2 = coll.wait %0 {rows = "R"} : (!coll.pending) -> tensor<?x8xf32>
  return
}
}

// -----

module attributes {coll.grid = {dp = 1 : i64, ep = 2 : i64, tp = 1 : i64}} {
func.func @padded_chunk(%x: tensor<?x8xf32>, %c: tensor<4xi32>) {
  // expected-error @below {{expected a size such as "R" or "8*R" in 'pair' with the mode padded}}
  %0 = coll.start_all_to_all_v %x, %c, %c places 0 to 1 of send over [ep] mode padded : (tensor<?x8xf32>, tensor<4xi32>, tensor<4xi32>) -> !coll.pending
  %1 = coll.wait %0 {rows = "R"} : (!coll.pending) -> tensor<?x8xf32>
  return
}
}

// -----

module attributes {coll.grid = {dp = 1 : i64, ep = 2 : i64, tp = 1 : i64}} {
func.func @several_of_send(%x: tensor<?x8xf32>, %c: tensor<4xi32>) {
  %0 = coll.start_all_to_all_v %x, %c, %c places 0 to 1 of send over [ep] : (tensor<?x8xf32>, tensor<4xi32>, tensor<4xi32>) -> !coll.pending
  %1 = coll.start_all_to_all_v %x, %c, %c places 1 to 2 of send over [ep] : (tensor<?x8xf32>, tensor<4xi32>, tensor<4xi32>) -> !coll.pending
  // expected-error @below {{'coll.wait' op expected one chunk of rows that are whole where they are sent, found 2}}
  %2 = coll.wait %0, %1 {rows = "R"} : (!coll.pending, !coll.pending) -> tensor<?x8xf32>
  return
}
}

// -----

module attributes {coll.grid = {dp = 1 : i64, ep = 2 : i64, tp = 1 : i64}} {
func.func @gap(%x: tensor<?x8xf32>, %c: tensor<4xi32>) {
  %0 = coll.start_all_to_all_v %x, %c, %c places 1 to 2 of receive over [ep] : (tensor<?x8xf32>, tensor<4xi32>, tensor<4xi32>) -> !coll.pending
  // expected-error @below {{expected a chunk from place 0, found one from 1}}
  %1 = coll.wait %0 {rows = "R"} : (!coll.pending) -> tensor<?x8xf32>
  return
}
}

// -----

module attributes {coll.grid = {dp = 1 : i64, ep = 2 : i64, tp = 1 : i64}} {
func.func @last_is_missing(%x: tensor<?x8xf32>, %c: tensor<4xi32>) {
  %0 = coll.start_all_to_all_v %x, %c, %c places 0 to 1 of receive over [ep] : (tensor<?x8xf32>, tensor<4xi32>, tensor<4xi32>) -> !coll.pending
  // expected-error @below {{expected chunks of all 2 places, found those up to 1}}
  %1 = coll.wait %0 {rows = "R"} : (!coll.pending) -> tensor<?x8xf32>
  return
}
}

// -----

func.func @other_rows(%x: tensor<?x8xf32>, %c: tensor<4xi32>) {
  %0 = coll.start_all_to_all_v %x, %c, %c places 0 to 1 of receive over [ep] : (tensor<?x8xf32>, tensor<4xi32>, tensor<4xi32>) -> !coll.pending
  %1 = coll.start_all_to_all_v %x, %c, %c places 1 to 2 of receive over [dp, ep] : (tensor<?x8xf32>, tensor<4xi32>, tensor<4xi32>) -> !coll.pending
  // expected-error @below {{expected chunks of the same rows}}
  %2 = coll.wait %0, %1 {rows = "R"} : (!coll.pending, !coll.pending) -> tensor<?x8xf32>
  return
}

// -----

module attributes {coll.grid = {dp = 1 : i64, ep = 2 : i64, tp = 1 : i64}} {
func.func @other_elements(%x: tensor<?x8xf32>, %c: tensor<4xi32>) {
  %0 = coll.start_all_to_all_v %x, %c, %c places 0 to 2 of receive over [ep] : (tensor<?x8xf32>, tensor<4xi32>, tensor<4xi32>) -> !coll.pending
  // expected-error @below {{expected 'y' of 'f32', the element type of 'x', found 'bf16'}}
  %1 = coll.wait %0 {rows = "R"} : (!coll.pending) -> tensor<?x8xbf16>
  return
}
}

// -----

module attributes {coll.grid = {dp = 1 : i64, ep = 2 : i64, tp = 1 : i64}} {
func.func @no_rows(%x: tensor<?x8xf32>, %c: tensor<4xi32>) {
  %0 = coll.start_all_to_all_v %x, %c, %c places 0 to 2 of send over [ep] : (tensor<?x8xf32>, tensor<4xi32>, tensor<4xi32>) -> !coll.pending
  // expected-error @below {{expected a size such as "R" or "8*R" in 'rows' with a result of 'tensor<?x8xf32>'}}
  %1 = coll.wait %0  : (!coll.pending) -> tensor<?x8xf32>
  return
}
}

// -----

func.func @nothing_to_wait_for() {
  // expected-error @below {{expected something to wait for, found nothing}}
  %0 = coll.wait : () -> tensor<4xf32>
  return
}

// -----

func.func @started_elsewhere(%p: !coll.pending) {
  // expected-error @below {{expected exchanges that were started before it in its block}}
  %0 = coll.wait %p : (!coll.pending) -> tensor<4xf32>
  return
}
