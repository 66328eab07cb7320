# shellcheck shell=bash
# What the scripts share. Sourced; leaves the working directory at the project's root.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

say() { echo "${0##*/}: $*" >&2; }

fail() {
  say "$*"
  exit 1
}

step() { printf '\n== %s\n' "$*" >&2; }

has() { command -v "$1" >/dev/null 2>&1; }

# Where cargo puts what it builds.
target_dir() { echo "${CARGO_TARGET_DIR:-target}"; }

# require WHY PROGRAM:PACKAGE…: installs the packages of the programs that are missing, as root on a
# machine with apt-get; otherwise fails with what has to be installed.
require() {
  local why=$1 pair missing=()
  shift
  for pair in "$@"; do
    has "${pair%%:*}" || missing+=("${pair#*:}")
  done
  [ "${#missing[@]}" -gt 0 ] || return 0
  if [ "$(id -u)" != 0 ] || ! has apt-get; then
    fail "$why needs ${missing[*]}: install with \`apt-get install ${missing[*]}\` as root, or with your system's own package manager"
  fi
  say "installing ${missing[*]} ($why needs it)"
  export DEBIAN_FRONTEND=noninteractive
  local log
  log=$(mktemp)
  if ! { apt-get update -q && apt-get install -q -y --no-install-recommends "${missing[@]}"; } >"$log" 2>&1; then
    tail -n 20 "$log" >&2
    rm -f "$log"
    fail "could not install ${missing[*]}"
  fi
  rm -f "$log"
}

# What every build needs.
require_build_tools() {
  has cargo || fail "there is no cargo: install Rust, see https://www.rust-lang.org/tools/install"
  require "compiling" cc:gcc
}

# A PostgreSQL to run: the fetched one, else the system's, else one that is installed now.
require_postgres() {
  scripts/fetch-postgres
  [ -x .cache/postgres/bin/postgres ] && return 0
  has postgres && return 0
  compgen -G '/usr/lib/postgresql/*/bin/postgres' >/dev/null && return 0
  require "running without a PostgreSQL of your own" postgres:postgresql
}
