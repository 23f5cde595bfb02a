"""The lit suite: one RUN line per behaviour, FileCheck on what it prints."""

import os
import platform

import lit.formats

config.name = "moe-mlir"
config.test_format = lit.formats.ShTest(execute_external=False)
config.suffixes = [".mlir", ".json", ".test"]
config.excludes = ["Inputs", "lit.cfg.py", "CMakeLists.txt"]
config.test_source_root = os.path.dirname(__file__)
config.test_exec_root = os.path.join(config.moe_binary_dir, "test")

if platform.machine() == "x86_64":
    config.available_features.add("x86")
path = [os.path.join(config.moe_binary_dir, "bin"), config.llvm_tools_dir]
config.environment["PATH"] = os.pathsep.join(path + [config.environment.get("PATH", "")])
config.environment["FILECHECK_OPTS"] = "--enable-var-scope"
config.substitutions.append(("%python", config.python))
config.substitutions.append(("%examples", os.path.join(config.moe_source_dir, "examples")))
config.substitutions.append(("%bin", os.path.join(config.moe_binary_dir, "bin")))
config.substitutions.append(("%src", config.moe_source_dir))
