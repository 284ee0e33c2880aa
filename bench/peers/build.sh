#!/bin/bash
# Builds the peers that bench/ measures beside: rsigma 0.23 and Vector's VRL (about half an hour on two cores).
# They land in bench/peers/target, which git ignores; the demo and `make test` never run this.
set -euo pipefail
cd "$(dirname "$0")"
cargo install --locked rsigma@0.23.0 --root target
cargo build --release --locked
