# Shared by the scripts: messages, and installing what is missing.

say() { printf '%s\n' "$*" >&2; }

fail() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

# The repository root is the working directory of every script.
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1

need_rust() {
    if ! command -v cargo >/dev/null && [ -x "$HOME/.cargo/bin/cargo" ]; then
        export PATH="$HOME/.cargo/bin:$PATH"
    fi
    command -v cargo >/dev/null || fail "Rust is not installed; install it as https://rustup.rs says, then run this again."
}

# need_packages PROBE=PACKAGE ...: installs the Debian packages whose probe (a command, or a path) is missing.
need_packages() {
    local missing=() pair probe root=()
    for pair in "$@"; do
        probe="${pair%%=*}"
        case "$probe" in
            /*) [ -e "$probe" ] || missing+=("${pair#*=}") ;;
            *) command -v "$probe" >/dev/null || missing+=("${pair#*=}") ;;
        esac
    done
    [ "${#missing[@]}" -gt 0 ] || return 0
    command -v apt-get >/dev/null ||
        fail "this needs ${missing[*]} (names of Debian packages), and there is no apt-get to install them; install them by hand, then run this again."
    if [ "$(id -u)" -ne 0 ]; then
        command -v sudo >/dev/null || fail "this needs ${missing[*]}; run as root: apt-get install ${missing[*]}"
        root=(sudo)
        [ -t 0 ] || root=(sudo -n)
    fi
    say "installing ${missing[*]}"
    # DEBIAN_FRONTEND: no questions. A stale package list is the usual reason for a first failure.
    install_packages() {
        "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "${missing[@]}" </dev/null >"$log" 2>&1
    }
    local log
    log="$(mktemp)"
    if ! install_packages; then
        "${root[@]}" apt-get update </dev/null >>"$log" 2>&1 || true
        if ! install_packages; then
            tail -n 3 "$log" >&2
            rm -f "$log"
            fail "apt-get could not install ${missing[*]}; check the network, then run: apt-get install ${missing[*]}"
        fi
    fi
    rm -f "$log"
}

MODEL_DIRECTORY="${DICTUM_MODEL_DIR:-/usr/share/pocketsphinx/model/en-us}"

# What building takes: a C and C++ compiler and CMake for libopus.
need_build() {
    need_rust
    need_packages cc=build-essential c++=build-essential cmake=cmake
}

need_model() {
    [ -n "${DICTUM_MODEL_DIR:-}" ] && [ ! -e "$DICTUM_MODEL_DIR" ] &&
        fail "DICTUM_MODEL_DIR is $DICTUM_MODEL_DIR, which does not exist; correct it, or unset it to use Debian's model."
    need_packages "$MODEL_DIRECTORY=pocketsphinx-en-us"
}

# A synthesiser for samples of speech. flite's recorded voices are understood much better than espeak-ng's made-up ones.
need_speech() {
    command -v flite >/dev/null || command -v espeak-ng >/dev/null || need_packages flite=flite
}

# speak TEXT FILE: a spoken sample as WAV.
speak() {
    if command -v flite >/dev/null; then
        flite -voice rms -t "$1" -o "$2" || fail "flite could not speak the sample."
    else
        espeak-ng -v en-us+f2 -s 140 -w "$2" -- "$1" || fail "espeak-ng could not speak the sample."
    fi
}

# Directory of cargo's output, wherever the user keeps it.
target_directory() {
    cargo metadata --format-version 1 --no-deps --locked | sed -n 's/.*"target_directory":"\([^"]*\)".*/\1/p'
}
