#!/bin/sh
# Adds Graft to The Littlest JupyterHub: sudo sh tljh.sh graft_kernel*.whl
#
# The wheels are graft_kernel, and for Rust cells also graft_kernel_rust.
# RUST=none leaves out the compiler: magics only.
set -eu

: "${1:?usage: sudo sh tljh.sh WHEEL...}"
hub=${TLJH:-/opt/tljh}
rust=${RUST:-1.95.0}

# The environment that all users share.
"$hub/user/bin/pip" install "$@"

if [ "$rust" != none ]; then
    apt-get update
    apt-get install --yes --no-install-recommends ca-certificates curl gcc libc6-dev
    curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs |
        RUSTUP_HOME=/opt/rustup CARGO_HOME=/opt/cargo sh -s -- -y --no-modify-path --profile minimal --default-toolchain "$rust" --component rust-src
    cat > "$hub/config/jupyterhub_config.d/graft.py" <<EOF
c.Spawner.environment = {
    "RUSTUP_HOME": "/opt/rustup",
    "PATH": "$hub/user/bin:/opt/cargo/bin:/usr/local/bin:/usr/bin:/bin",
}
EOF
fi

# Each user gets half a gigabyte and two cores; with Rust cells, one gigabyte.
tljh-config set limits.memory "$([ "$rust" = none ] && echo 512M || echo 1G)"
tljh-config set limits.cpu 2
# Seconds without activity. A training run in the background does not count as activity.
tljh-config set services.cull.timeout 7200
tljh-config reload
