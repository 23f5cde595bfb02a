"""The loop over experts with torch's product of bf16 rows and int8 weights."""

from __future__ import annotations

import torch

from ._torch import tensor
from .torch_loop import TorchLoop
from .unsupported import Unsupported


class TorchInt8(TorchLoop):
    def prepare(self) -> None:
        if self.weights.dtype != "int8":
            raise Unsupported("its weights are int8")
        if self.weights.arrays["experts.down.weight"].shape[-1] % 256:
            raise Unsupported("torch 2.15 ends with a segmentation fault at a depth of 1408")
        arrays = self.weights.arrays
        names = [name[: -len(".scales")] for name in arrays if name.endswith(".scales")]
        self.data = {name: tensor(arrays[name + ".weight"]) for name in names}
        self.scales = {
            name: torch.from_numpy(arrays[name + ".scales"]).squeeze(-1).bfloat16()
            for name in names
        }
        self.biases = {name: self.bias("experts." + name) for name in ("gate_up", "down")}

    def product(self, name, expert, rows):
        data, scales = self.data["experts." + name][expert], self.scales["experts." + name][expert]
        result = torch._weight_int8pack_mm(rows, data, scales)
        bias = self.bias_of(name, expert)
        return result if bias is None else result + bias

    def shared(self, x):
        def product(name, rows):
            return torch._weight_int8pack_mm(rows, self.data[name], self.scales[name])

        return product("shared.down", self.activate(product("shared.gate_up", x)))
