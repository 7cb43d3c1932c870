#!/usr/bin/env bash
# Installs girih into .venv: what is missing of Debian's packages, the MPI plug-ins, the package itself.
#
# usage: bindings/install.sh [plugins | compare | test | executors | rivals | array-rivals]
#   plugins        only the MPI plug-ins; compare, test: also the Python packages of that extra;
#   rivals         as compare, and .venv-rivals, which sees .venv and has the libraries that bench-kmeans compares with;
#   array-rivals   as compare, and .venv-array-rivals with those of bench-arrays;
#   executors      and .venv-executors, of a Python that has CPython's tests of executors, made for any since 3.12.
#
# Idempotent, and quick when nothing is missing: cargo decides what to rebuild, pip what to install.
# Never here: Rust itself, which belongs to the user's account; its absence is reported.
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
target=${CARGO_TARGET_DIR:-$root/target}
case $target in /*) ;; *) target=$root/$target ;; esac
venv=$root/.venv
plugins=$root/bindings/python/girih/_mpi
extra=${1:-}

say() { printf 'girih: %s\n' "$*" >&2; }
fail() { say "$*"; exit 1; }

# --- Debian packages -------------------------------------------------------------------------------------------------

missing_packages() {
    local package
    for package in "$@"; do
        dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q '^install ok installed$' || printf '%s ' "$package"
    done
}

install_packages() {
    local as_root=() missing
    missing=$(missing_packages "$@")
    [ -n "$missing" ] || return 0
    if [ "$(id -u)" != 0 ]; then
        sudo -n true 2>/dev/null || return 1
        as_root=(sudo -n)
    fi
    say "installing $missing"
    "${as_root[@]}" apt-get update -qq || return 1
    # shellcheck disable=SC2086 # the list is meant to be split
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >&2
}

system_packages() {
    command -v dpkg-query >/dev/null || return 0 # not Debian: the compilers below say what they miss
    local needed=(build-essential pkg-config libhwloc-dev) mpi=(libclang-dev libopenmpi-dev openmpi-bin libmpich-dev mpich)
    # A Python of the user's own brings its venv and headers along.
    case ${PYTHON:-$(command -v python3)} in
    "" | /usr/bin/python3) needed+=(python3-venv python3-dev) ;;
    esac
    install_packages "${needed[@]}" ||
        fail "these packages are missing: sudo apt install $(missing_packages "${needed[@]}")"
    # Without them there is no plug-in, and girih works on one rank.
    install_packages "${mpi[@]}" ||
        say "without an MPI girih runs on one rank only; for more: sudo apt install $(missing_packages "${mpi[@]}")"
}

# --- Rust ------------------------------------------------------------------------------------------------------------

at_least() { # at_least WANTED FOUND
    [ "$(printf '%s\n%s\n' "$1" "$2" | sort -V | head -n 1)" = "$1" ]
}

check_rust() {
    local wanted found
    wanted=$(sed -n 's/^rust-version *= *"\(.*\)"/\1/p' "$root/Cargo.toml" | head -n 1)
    command -v cargo >/dev/null || [ ! -x "$HOME/.cargo/bin/cargo" ] || PATH=$HOME/.cargo/bin:$PATH
    command -v cargo >/dev/null ||
        fail "Rust $wanted or newer is missing: curl --proto '=https' -sSf https://sh.rustup.rs | sh, then make again"
    found=$(cargo --version | cut -d ' ' -f 2)
    at_least "$wanted" "$found" || fail "Rust $found is too old, $wanted is needed: rustup update stable, then make again"
}

# --- MPI plug-ins ----------------------------------------------------------------------------------------------------

build_plugin() { # build_plugin FAMILY COMPILER
    command -v "$2" >/dev/null || return 0
    say "plug-in for $1"
    (cd "$root" && MPICC=$2 CARGO_TARGET_DIR=$target/$1 cargo build --quiet --release -p girih-mpi)
    local built=$target/$1/release/libgirih_mpi.so installed=$plugins/$1.so
    # By rename, so that a program that runs keeps the file it has loaded.
    if ! cmp -s "$built" "$installed"; then
        cp "$built" "$installed.new"
        mv "$installed.new" "$installed"
    fi
}

build_plugins() {
    mkdir -p "$plugins"
    build_plugin openmpi mpicc.openmpi
    build_plugin mpich mpicc.mpich
    # Elsewhere than on Debian there is one mpicc, whose own words name its family.
    if ! compgen -G "$plugins/*.so" >/dev/null && command -v mpicc >/dev/null; then
        case $(mpicc -show 2>&1) in
        *openmpi* | *open-mpi* | *ompi*) build_plugin openmpi mpicc ;;
        *) build_plugin mpich mpicc ;;
        esac
    fi
}

# --- Python ----------------------------------------------------------------------------------------------------------

find_python() {
    local name
    for name in ${PYTHON:-} python3 python3.13 python3.12 python3.11; do
        if "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            command -v "$name"
            return
        fi
    done
    fail "Python 3.11 or newer is missing; PYTHON=/path/to/python3 make takes another one"
}

install_python() {
    local python
    if ! "$venv/bin/python" -m pip --version >/dev/null 2>&1; then
        python=$(find_python)
        "$python" -m venv --clear "$venv" || fail "$python cannot make a virtual environment: sudo apt install python3-venv"
    fi
    "$venv/bin/python" -c 'import maturin' 2>/dev/null ||
        "$venv/bin/python" -m pip install --quiet --disable-pip-version-check 'maturin>=1.9,<2'
    (
        cd "$root/bindings"
        export VIRTUAL_ENV=$venv CARGO_TARGET_DIR=$target PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_QUIET=1
        unset CONDA_PREFIX
        "$venv/bin/maturin" develop --quiet --release ${extra:+--extras "$extra"}
    )
}

# Heat brings PyTorch; from here one that computes on processors alone, a twentieth of the other's size.
torch_without_gpu=https://download.pytorch.org/whl/cpu

# Apart from .venv, so that tests never meet what these bring along. Some have no wheel for some machines.
install_rivals() { # install_rivals FOLDER BENCH PACKAGE...
    local rivals=$root/$1 bench=$2 package
    shift 2
    if ! "$rivals/bin/python" -m pip --version >/dev/null 2>&1; then
        "$venv/bin/python" -m venv --clear "$rivals"
        # An import, not a path, so that the file by which .venv finds girih is read as well.
        "$venv/bin/python" -c 'import site; print(f"import site; site.addsitedir({site.getsitepackages()[0]!r})")' \
            >"$("$rivals/bin/python" -c 'import site; print(site.getsitepackages()[0])')/girih-venv.pth"
    fi
    for package in "$@"; do
        # shellcheck disable=SC2086 # a package may bring an option along
        "$rivals/bin/python" -m pip show --quiet "${package%%[>=]*}" 2>/dev/null ||
            "$rivals/bin/python" -m pip install --quiet --disable-pip-version-check --prefer-binary $package ||
            say "$bench will do without ${package%%[>=]*}"
    done
}

install_executors() {
    local own=$root/.venv-executors tests='import test.test_concurrent_futures.executor' name python=''
    if ! "$own/bin/python" -c "$tests" 2>/dev/null; then
        for name in ${PYTHON:-} python3 python3.14 python3.13 python3.12 "$HOME"/.pyenv/versions/3.1[2-9]*/bin/python3; do
            if "$name" -c "$tests" 2>/dev/null; then python=$name; fi
            [ -z "$python" ] || break
        done
        [ -n "$python" ] || fail "no Python from 3.12 on with CPython's tests; PYTHON=/path/to/python3 names one"
        "$python" -m venv --clear "$own"
        echo "$root/bindings/python" >"$("$own/bin/python" -c 'import site; print(site.getsitepackages()[0])')/girih.pth"
    fi
    # One native module serves all versions of Python, so the package is used where it lies, with what it depends on.
    "$own/bin/python" -c 'import sys, tomllib; print(*tomllib.load(sys.stdin.buffer)["project"]["dependencies"], sep="\n")' \
        <"$root/bindings/pyproject.toml" |
        "$own/bin/python" -m pip install --quiet --disable-pip-version-check --prefer-binary -r /dev/stdin
}

case $extra in
"" | plugins | compare | test | executors | rivals | array-rivals) ;;
*) fail "usage: bindings/install.sh [plugins | compare | test | executors | rivals | array-rivals]" ;;
esac
wanted=$extra
case $wanted in
*rivals) extra=compare ;;
executors) extra='' ;;
esac
system_packages
check_rust
build_plugins
[ "$extra" = plugins ] || install_python
case $wanted in
executors) install_executors ;;
rivals)
    install_rivals .venv-rivals bench-kmeans 'scikit-learn-intelex>=2026.0' 'faiss-cpu>=1.12' 'superkmeans>=0.2'
    ;;
array-rivals)
    # An index that does not answer is asked for every package, many times.
    answers='import sys, urllib.request as it; it.urlopen(sys.argv[1] + "/torch/", timeout=10)'
    if "$venv/bin/python" -c "$answers" "$torch_without_gpu" 2>/dev/null; then
        index="--extra-index-url $torch_without_gpu"
    else
        index='' && say "$torch_without_gpu does not answer: Heat brings the PyTorch for GPUs, some gigabytes"
    fi
    install_rivals .venv-array-rivals bench-arrays 'jax>=0.6' "heat>=1.8 $index"
    ;;
esac
