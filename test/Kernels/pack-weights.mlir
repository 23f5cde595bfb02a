// RUN: moe-opt %s -moe-pack-weights | FileCheck %s

// Weights that only products read, whole strips of whole turns.
// CHECK-LABEL: func.func @packed
// CHECK-SAME: "gate", moe.packed = "words", moe.role = "weight"
// CHECK-SAME: "up", moe.packed = "words", moe.role = "weight"
// CHECK-SAME: "down", moe.packed = "words", moe.role = "weight"
func.func @packed(%x: tensor<?x32xbf16> {moe.name = "x", moe.role = "input"},
                  %o: tensor<3xi32> {moe.name = "o", moe.role = "input"},
                  %g: tensor<2x64x32xbf16> {moe.name = "gate", moe.role = "weight"},
                  %u: tensor<2x64x32xbf16> {moe.name = "up", moe.role = "weight"},
                  %d: tensor<2x128x64xf32> {moe.name = "down", moe.role = "weight"})
    -> tensor<?x128xf32> {
  %h = moe.grouped_matmul %x, %g, %u offsets %o
      : (tensor<?x32xbf16>, tensor<2x64x32xbf16>, tensor<2x64x32xbf16>, tensor<3xi32>)
      -> tensor<?x64xf32> {
  ^bb0(%a: f32, %b: f32):
    %c = arith.mulf %a, %b : f32
    moe.yield %c
  }
  %y = moe.grouped_matmul %h, %d offsets %o : (tensor<?x64xf32>, tensor<2x128x64xf32>, tensor<3xi32>) -> tensor<?x128xf32>
  return %y : tensor<?x128xf32>
}

// 63 outputs, a depth of 12 bf16, numbers of f16, and what is no weight.
// CHECK-LABEL: func.func @rows
// CHECK-NOT: moe.packed
// CHECK: return
func.func @rows(%x: tensor<?x12xbf16> {moe.name = "x", moe.role = "input"},
                %a: tensor<63x12xbf16> {moe.name = "outputs", moe.role = "weight"},
                %b: tensor<64x12xbf16> {moe.name = "depth", moe.role = "weight"},
                %c: tensor<64x12xf16> {moe.name = "halves", moe.role = "weight"},
                %d: tensor<64x12xf32> {moe.name = "state", moe.role = "state"})
    -> (tensor<?x63xf32>, tensor<?x64xf32>, tensor<?x64xf32>, tensor<?x64xf32>) {
  %0 = moe.grouped_matmul %x, %a : (tensor<?x12xbf16>, tensor<63x12xbf16>) -> tensor<?x63xf32>
  %1 = moe.grouped_matmul %x, %b : (tensor<?x12xbf16>, tensor<64x12xbf16>) -> tensor<?x64xf32>
  %2 = moe.grouped_matmul %x, %c : (tensor<?x12xbf16>, tensor<64x12xf16>) -> tensor<?x64xf32>
  %3 = moe.grouped_matmul %x, %d : (tensor<?x12xbf16>, tensor<64x12xf32>) -> tensor<?x64xf32>
  return %0, %1, %2, %3 : tensor<?x63xf32>, tensor<?x64xf32>, tensor<?x64xf32>, tensor<?x64xf32>
}

// What another function reads otherwise stays in rows, and so does what is
// multiplied together with it.
// CHECK-LABEL: func.func @both
// CHECK-NOT: moe.packed
// CHECK: return
func.func @both(%x: tensor<?x32xf32> {moe.name = "x", moe.role = "input"},
                %a: tensor<64x32xf32> {moe.name = "a", moe.role = "weight"},
                %b: tensor<64x32xf32> {moe.name = "b", moe.role = "weight"}) -> tensor<?x64xf32> {
  %y = moe.grouped_matmul %x, %a, %b
      : (tensor<?x32xf32>, tensor<64x32xf32>, tensor<64x32xf32>) -> tensor<?x64xf32> {
  ^bb0(%c: f32, %d: f32):
    %e = arith.mulf %c, %d : f32
    moe.yield %e
  }
  return %y : tensor<?x64xf32>
}
func.func @other(%a: tensor<64x32xf32> {moe.name = "a", moe.role = "weight"}) -> tensor<64x32xf32> {
  return %a : tensor<64x32xf32>
}

// Codes of few bits, where scales are of whole outputs or of a turn each.
// CHECK-LABEL: func.func @codes
// CHECK-SAME: "int8", moe.packed = "words"
// CHECK-SAME: "int8.scales", moe.packed = "words"
// CHECK-SAME: "mxfp4", moe.packed = "nibbles"
// CHECK-SAME: "mxfp4.scales", moe.packed = "bytes"
func.func @codes(%x: tensor<?x64xbf16> {moe.name = "x", moe.role = "input"},
                 %a: tensor<64x64xi8> {moe.name = "int8", moe.role = "weight"},
                 %b: tensor<64x1xf32> {moe.name = "int8.scales", moe.role = "weight"},
                 %c: tensor<64x32xi8> {moe.name = "mxfp4", moe.role = "weight"},
                 %d: tensor<64x2xi8> {moe.name = "mxfp4.scales", moe.role = "weight"})
    -> (tensor<?x64xf32>, tensor<?x64xf32>) {
  %v = moe.decode %a, %b <kind = int8> : (tensor<64x64xi8>, tensor<64x1xf32>) -> tensor<64x64xf32>
  %w = moe.decode %c, %d <kind = mxfp4, inputs = 32> : (tensor<64x32xi8>, tensor<64x2xi8>) -> tensor<64x64xf32>
  %0 = moe.grouped_matmul %x, %v : (tensor<?x64xbf16>, tensor<64x64xf32>) -> tensor<?x64xf32>
  %1 = moe.grouped_matmul %x, %w : (tensor<?x64xbf16>, tensor<64x64xf32>) -> tensor<?x64xf32>
  return %0, %1 : tensor<?x64xf32>, tensor<?x64xf32>
}

// Scales of parts of an output, other formats, and values that are read.
// CHECK-LABEL: func.func @other_codes
// CHECK-NOT: moe.packed
// CHECK: return
func.func @other_codes(%x: tensor<?x64xbf16> {moe.name = "x", moe.role = "input"},
                       %a: tensor<64x64xi8> {moe.name = "parts", moe.role = "weight"},
                       %b: tensor<64x2xf32> {moe.name = "parts.scales", moe.role = "weight"},
                       %c: tensor<64x32xi8> {moe.name = "int4", moe.role = "weight"},
                       %d: tensor<64x1xf32> {moe.name = "int4.scales", moe.role = "weight"},
                       %e: tensor<64x32xi8> {moe.name = "read", moe.role = "weight"},
                       %f: tensor<64x2xi8> {moe.name = "read.scales", moe.role = "weight"})
    -> (tensor<?x64xf32>, tensor<?x64xf32>, tensor<64x64xf32>) {
  %u = moe.decode %a, %b <kind = int8, inputs = 32> : (tensor<64x64xi8>, tensor<64x2xf32>) -> tensor<64x64xf32>
  %v = moe.decode %c, %d <kind = int4> : (tensor<64x32xi8>, tensor<64x1xf32>) -> tensor<64x64xf32>
  %w = moe.decode %e, %f <kind = mxfp4, inputs = 32> : (tensor<64x32xi8>, tensor<64x2xi8>) -> tensor<64x64xf32>
  %0 = moe.grouped_matmul %x, %u : (tensor<?x64xbf16>, tensor<64x64xf32>) -> tensor<?x64xf32>
  %1 = moe.grouped_matmul %x, %v : (tensor<?x64xbf16>, tensor<64x64xf32>) -> tensor<?x64xf32>
  return %0, %1, %w : tensor<?x64xf32>, tensor<?x64xf32>, tensor<64x64xf32>
}

// Halves that are whole strips each.
// CHECK-LABEL: func.func @halves
// CHECK-SAME: "joined", moe.packed = "words", moe.role = "weight"
func.func @halves(%x: tensor<?x32xbf16> {moe.name = "x", moe.role = "input"},
                  %o: tensor<3xi32> {moe.name = "o", moe.role = "input"},
                  %w: tensor<2x128x32xbf16> {moe.name = "joined", moe.role = "weight"}) -> tensor<?x64xf32> {
  %g = tensor.extract_slice %w[0, 0, 0] [2, 64, 32] [1, 1, 1] : tensor<2x128x32xbf16> to tensor<2x64x32xbf16>
  %u = tensor.extract_slice %w[0, 64, 0] [2, 64, 32] [1, 1, 1] : tensor<2x128x32xbf16> to tensor<2x64x32xbf16>
  %a = moe.grouped_matmul %x, %g offsets %o : (tensor<?x32xbf16>, tensor<2x64x32xbf16>, tensor<3xi32>) -> tensor<?x64xf32>
  %b = moe.grouped_matmul %x, %u offsets %o : (tensor<?x32xbf16>, tensor<2x64x32xbf16>, tensor<3xi32>) -> tensor<?x64xf32>
  %y = arith.addf %a, %b : tensor<?x64xf32>
  return %y : tensor<?x64xf32>
}

// Every other output is in every other strip, of the scales as well.
// CHECK-LABEL: func.func @turns
// CHECK-SAME: "turns", moe.packed = "paired_words"
// CHECK-SAME: "int8.turns", moe.packed = "paired_words"
// CHECK-SAME: "int8.turns.scales", moe.packed = "paired_words"
// CHECK-SAME: "mxfp4.turns", moe.packed = "paired_nibbles"
// CHECK-SAME: "mxfp4.turns.scales", moe.packed = "paired_bytes"
func.func @turns(%x: tensor<?x64xbf16> {moe.name = "x", moe.role = "input"},
                 %a: tensor<128x64xbf16> {moe.name = "turns", moe.role = "weight"},
                 %b: tensor<128x64xi8> {moe.name = "int8.turns", moe.role = "weight"},
                 %c: tensor<128x1xf32> {moe.name = "int8.turns.scales", moe.role = "weight"},
                 %d: tensor<128x32xi8> {moe.name = "mxfp4.turns", moe.role = "weight"},
                 %e: tensor<128x2xi8> {moe.name = "mxfp4.turns.scales", moe.role = "weight"})
    -> (tensor<?x64xf32>, tensor<?x64xf32>, tensor<?x64xf32>) {
  %u = tensor.extract_slice %a[1, 0] [64, 64] [2, 1] : tensor<128x64xbf16> to tensor<64x64xbf16>
  %v = tensor.extract_slice %b[0, 0] [64, 64] [2, 1] : tensor<128x64xi8> to tensor<64x64xi8>
  %w = tensor.extract_slice %c[0, 0] [64, 1] [2, 1] : tensor<128x1xf32> to tensor<64x1xf32>
  %s = tensor.extract_slice %d[1, 0] [64, 32] [2, 1] : tensor<128x32xi8> to tensor<64x32xi8>
  %t = tensor.extract_slice %e[1, 0] [64, 2] [2, 1] : tensor<128x2xi8> to tensor<64x2xi8>
  %p = moe.decode %v, %w <kind = int8> : (tensor<64x64xi8>, tensor<64x1xf32>) -> tensor<64x64xf32>
  %q = moe.decode %s, %t <kind = mxfp4, inputs = 32> : (tensor<64x32xi8>, tensor<64x2xi8>) -> tensor<64x64xf32>
  %0 = moe.grouped_matmul %x, %u : (tensor<?x64xbf16>, tensor<64x64xbf16>) -> tensor<?x64xf32>
  %1 = moe.grouped_matmul %x, %p : (tensor<?x64xbf16>, tensor<64x64xf32>) -> tensor<?x64xf32>
  %2 = moe.grouped_matmul %x, %q : (tensor<?x64xbf16>, tensor<64x64xf32>) -> tensor<?x64xf32>
  return %0, %1, %2 : tensor<?x64xf32>, tensor<?x64xf32>, tensor<?x64xf32>
}

// Every other output of 64 or of a part, every third one, and outputs that one
// product has by turns and another one as they are, or whose scales it has so.
// CHECK-LABEL: func.func @other_turns
// CHECK-NOT: moe.packed
// CHECK: return
func.func @other_turns(%x: tensor<?x64xf32> {moe.name = "x", moe.role = "input"},
                       %a: tensor<64x64xf32> {moe.name = "few", moe.role = "weight"},
                       %b: tensor<256x64xf32> {moe.name = "part", moe.role = "weight"},
                       %c: tensor<192x64xf32> {moe.name = "third", moe.role = "weight"},
                       %d: tensor<128x64xf32> {moe.name = "mixed", moe.role = "weight"},
                       %e: tensor<128x64xi8> {moe.name = "mixed.codes", moe.role = "weight"},
                       %f: tensor<128x1xf32> {moe.name = "mixed.scales", moe.role = "weight"},
                       %g: tensor<128x64xi8> {moe.name = "shares.scales", moe.role = "weight"})
    -> (tensor<?x32xf32>, tensor<?x64xf32>, tensor<?x64xf32>, tensor<?x64xf32>, tensor<?x128xf32>,
        tensor<?x64xf32>, tensor<?x128xf32>) {
  %u = tensor.extract_slice %a[0, 0] [32, 64] [2, 1] : tensor<64x64xf32> to tensor<32x64xf32>
  %v = tensor.extract_slice %b[0, 0] [64, 64] [2, 1] : tensor<256x64xf32> to tensor<64x64xf32>
  %w = tensor.extract_slice %c[0, 0] [64, 64] [3, 1] : tensor<192x64xf32> to tensor<64x64xf32>
  %s = tensor.extract_slice %d[0, 0] [64, 64] [2, 1] : tensor<128x64xf32> to tensor<64x64xf32>
  %t = tensor.extract_slice %e[0, 0] [64, 64] [2, 1] : tensor<128x64xi8> to tensor<64x64xi8>
  %z = tensor.extract_slice %f[0, 0] [64, 1] [2, 1] : tensor<128x1xf32> to tensor<64x1xf32>
  %p = moe.decode %t, %z <kind = int8> : (tensor<64x64xi8>, tensor<64x1xf32>) -> tensor<64x64xf32>
  %q = moe.decode %g, %f <kind = int8> : (tensor<128x64xi8>, tensor<128x1xf32>) -> tensor<128x64xf32>
  %0 = moe.grouped_matmul %x, %u : (tensor<?x64xf32>, tensor<32x64xf32>) -> tensor<?x32xf32>
  %1 = moe.grouped_matmul %x, %v : (tensor<?x64xf32>, tensor<64x64xf32>) -> tensor<?x64xf32>
  %2 = moe.grouped_matmul %x, %w : (tensor<?x64xf32>, tensor<64x64xf32>) -> tensor<?x64xf32>
  %3 = moe.grouped_matmul %x, %s : (tensor<?x64xf32>, tensor<64x64xf32>) -> tensor<?x64xf32>
  %4 = moe.grouped_matmul %x, %d : (tensor<?x64xf32>, tensor<128x64xf32>) -> tensor<?x128xf32>
  %5 = moe.grouped_matmul %x, %p : (tensor<?x64xf32>, tensor<64x64xf32>) -> tensor<?x64xf32>
  %6 = moe.grouped_matmul %x, %q : (tensor<?x64xf32>, tensor<128x64xf32>) -> tensor<?x128xf32>
  return %0, %1, %2, %3, %4, %5, %6
      : tensor<?x32xf32>, tensor<?x64xf32>, tensor<?x64xf32>, tensor<?x64xf32>, tensor<?x128xf32>,
        tensor<?x64xf32>, tensor<?x128xf32>
}

// Outputs of two strips, a part of the depth, and what is multiplied together
// with a half that is also read otherwise.
// CHECK-LABEL: func.func @parts
// CHECK-NOT: moe.packed
// CHECK: return
func.func @parts(%x: tensor<?x32xf32> {moe.name = "x", moe.role = "input"},
                 %b: tensor<128x32xf32> {moe.name = "between", moe.role = "weight"},
                 %c: tensor<128x64xf32> {moe.name = "left", moe.role = "weight"},
                 %d: tensor<128x32xf32> {moe.name = "returned", moe.role = "weight"},
                 %e: tensor<64x32xf32> {moe.name = "beside", moe.role = "weight"})
    -> (tensor<?x64xf32>, tensor<?x64xf32>, tensor<?x64xf32>, tensor<64x32xf32>) {
  %1 = tensor.extract_slice %b[32, 0] [64, 32] [1, 1] : tensor<128x32xf32> to tensor<64x32xf32>
  %2 = tensor.extract_slice %c[0, 0] [64, 32] [1, 1] : tensor<128x64xf32> to tensor<64x32xf32>
  %3 = tensor.extract_slice %d[64, 0] [64, 32] [1, 1] : tensor<128x32xf32> to tensor<64x32xf32>
  %y1 = moe.grouped_matmul %x, %1 : (tensor<?x32xf32>, tensor<64x32xf32>) -> tensor<?x64xf32>
  %y2 = moe.grouped_matmul %x, %2 : (tensor<?x32xf32>, tensor<64x32xf32>) -> tensor<?x64xf32>
  %y3 = moe.grouped_matmul %x, %3, %e
      : (tensor<?x32xf32>, tensor<64x32xf32>, tensor<64x32xf32>) -> tensor<?x64xf32> {
  ^bb0(%p: f32, %q: f32):
    %r = arith.mulf %p, %q : f32
    moe.yield %r
  }
  return %y1, %y2, %y3, %3 : tensor<?x64xf32>, tensor<?x64xf32>, tensor<?x64xf32>, tensor<64x32xf32>
}
