#!/bin/sh
# Interesting, which the reducer wants to hear as failure, is a correct program
# with a combine; the reducer also tries programs that are not correct.
if moe-opt "$1" 2>/dev/null | grep -q moe.combine; then
  exit 1
fi
