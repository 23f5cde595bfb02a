"""Programs whose kernels no example spec has, for what is asked of machine code.

Every product of theirs, and of their routers, is made by matrix units.
"""

import json
from pathlib import Path

# Of each kind that gradients need, and as tf32: factors along the depth and across it.
PRODUCTS = """
module attributes {{moe.name = "products"}} {{
  func.func @back(%x: tensor<?x96x{t}> {{moe.name = "x", moe.role = "input", moe.sizes = ["R"]}},
                  %w: tensor<4x96x64x{t}> {{moe.name = "w", moe.role = "weight"}},
                  %o: tensor<5xi32> {{moe.name = "offsets", moe.role = "input"}})
      -> (tensor<?x64xf32> {{moe.name = "y", moe.role = "output", moe.sizes = ["R"]}}) {{
    %y = moe.grouped_matmul %x, %w offsets %o {{transposed{option}}}
        : (tensor<?x96x{t}>, tensor<4x96x64x{t}>, tensor<5xi32>) -> tensor<?x64xf32>
    return %y : tensor<?x64xf32>
  }}
  func.func @ahead(%x: tensor<?x96x{t}> {{moe.name = "x", moe.role = "input", moe.sizes = ["R"]}},
                   %g: tensor<4x64x96x{t}> {{moe.name = "g", moe.role = "weight"}},
                   %u: tensor<4x64x96x{t}> {{moe.name = "u", moe.role = "weight"}},
                   %o: tensor<5xi32> {{moe.name = "offsets", moe.role = "input"}})
      -> (tensor<?x64xf32> {{moe.name = "y", moe.role = "output", moe.sizes = ["R"]}}) {{
    %y = moe.grouped_matmul %x, %g, %u offsets %o {{slots = 1 : i64{option}}}
        : (tensor<?x96x{t}>, tensor<4x64x96x{t}>, tensor<4x64x96x{t}>, tensor<5xi32>)
        -> tensor<?x64xf32> {{
    ^bb0(%a: f32, %b: f32):
      %p = arith.mulf %a, %b : f32
      moe.yield %p
    }}
    return %y : tensor<?x64xf32>
  }}
  func.func @outer(%x: tensor<?x96x{t}> {{moe.name = "x", moe.role = "input", moe.sizes = ["R"]}},
                   %y: tensor<?x64x{t}> {{moe.name = "y", moe.role = "input", moe.sizes = ["R"]}},
                   %o: tensor<5xi32> {{moe.name = "offsets", moe.role = "input"}})
      -> (tensor<4x96x64xf32> {{moe.name = "sums", moe.role = "output"}}) {{
    %s = moe.grouped_outer %x, %y offsets %o {{{braced}}}
        : (tensor<?x96x{t}>, tensor<?x64x{t}>, tensor<5xi32>) -> tensor<4x96x64xf32>
    return %s : tensor<4x96x64xf32>
  }}
}}
"""


def _products(kind, option=""):
    return PRODUCTS.format(t=kind, option=option and ", " + option, braced=option)


def _layer(rows, experts, shared=None):
    """A layer whose two kinds of experts have weights of these formats."""
    parts = {
        name: {"intermediate": 128, "quantization": quantization}
        for name, quantization in (("experts", experts), ("shared", shared))
        if quantization
    }
    layer = {"name": "layer", "hidden": 256, "router": {"experts": 4, "top_k": 2}}
    return json.dumps({**layer, "dtype": {"activation": rows}, **parts})


NONE = {"kind": "none"}
INT8 = {"kind": "int8", "block": [1, 64]}
INT4 = {"kind": "int4", "block": [1, 32], "zero_points": True}
FP8 = {"kind": "fp8_e4m3", "block": [128, 128]}
PROGRAMS = {
    "bf16_int8.json": _layer("bf16", NONE, INT8),
    "f16_int4.json": _layer("f16", INT4, NONE),
    "int4_mxfp4.json": _layer("bf16", INT4, {"kind": "mxfp4"}),
    "nvfp4_fp8.json": _layer("bf16", {"kind": "nvfp4"}, FP8),
    "fp8_rows.json": _layer("bf16", {**FP8, "activations": "fp8_e4m3"}),
    "gradients_bf16.mlir": _products("bf16"),
    "gradients_tf32.mlir": _products("f32", "tf32"),
}


def write_programs(folder):
    """Files of them."""
    paths = [Path(folder) / name for name in PROGRAMS]
    for path in paths:
        path.write_text(PROGRAMS[path.name])
    return paths
