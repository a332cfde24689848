#!/bin/sh
# Installs the curtain binary for the person who runs this, without root:
#
#   curl -fsSL https://github.com/curtain-dev/curtain/releases/latest/download/install.sh | sh
#   … | sh -s -- --version 0.1.0 --dir ~/bin
#
# It fetches the release's SHA256SUMS and the archive for this machine, compares, and puts one file into
# CURTAIN_INSTALL_DIR (default: ~/.local/bin), whole or not at all. CURTAIN_INSTALL_BASE is where releases are.
set -eu

repository=https://github.com/curtain-dev/curtain

say() { printf '%s\n' "$*"; }
fail() { say "install.sh: $*" >&2; exit 1; }

# A word as a shell reads it.
quote() {
  case $1 in
    *[!A-Za-z0-9_./~+-]*) printf "'%s'" "$(printf '%s' "$1" | sed "s/'/'\\\\''/g")" ;;
    *) printf '%s' "$1" ;;
  esac
}

# Fetches a URL into a file. With curl, what begins encrypted stays so through all redirects.
fetch() {
  case $1 in https://*) only='=https' ;; *) only='=http,https' ;; esac
  if command -v curl >/dev/null 2>&1; then
    curl -fsSL --proto "$only" --retry 3 --connect-timeout 20 -o "$2" "$1"
  elif command -v wget >/dev/null 2>&1; then
    # That of a busybox knows few options, and dies of -T.
    if wget --version >/dev/null 2>&1; then
      wget -q -T 20 -t 3 -O "$2" "$1"
    else
      wget -q -O "$2" "$1"
    fi
  else
    fail "neither curl nor wget is installed"
  fi
}

checksum() {
  if command -v sha256sum >/dev/null 2>&1; then
    sha256sum "$1" | cut -d ' ' -f 1
  elif command -v shasum >/dev/null 2>&1; then
    shasum -a 256 "$1" | cut -d ' ' -f 1
  else
    fail "neither sha256sum nor shasum is installed, so the download cannot be checked"
  fi
}

machine() {
  os=$(uname -s) arch=$(uname -m)
  case $os in
    Linux) system=unknown-linux-gnu ;;
    Darwin) system=apple-darwin ;;
    *) fail "there is no binary for $os here, only for Linux and macOS; releases have a .zip for Windows" ;;
  esac
  case $arch in
    x86_64 | amd64) say "x86_64-$system" ;;
    aarch64 | arm64) say "aarch64-$system" ;;
    *) fail "there is no binary for $arch, only for x86_64 and aarch64; the source builds with Rust: $repository" ;;
  esac
}

usage() {
  say "usage: install.sh [--version VERSION] [--dir DIR]"
  say "  --version VERSION   which release (default: the latest)"
  say "  --dir DIR           where to (default: \$CURTAIN_INSTALL_DIR, or ~/.local/bin)"
}

work='' new='' made='' done=''
cleanup() {
  [ -z "$work" ] || rm -rf "$work"
  [ -z "$new" ] || rm -f "$new"
  # Folders made for nothing.
  [ -n "$done" ] || [ -z "$made" ] || eval "rmdir $made" 2>/dev/null || true
}

main() {
  version='' dir=${CURTAIN_INSTALL_DIR:-}
  while [ $# -gt 0 ]; do
    case $1 in
      --version | --dir)
        [ $# -ge 2 ] || { usage >&2; exit 2; }
        if [ "$1" = --dir ]; then dir=$2; else version=${2#v}; fi
        shift 2
        ;;
      --help | -h) usage; exit 0 ;;
      *) usage >&2; exit 2 ;;
    esac
  done
  [ -n "$dir" ] || dir=${HOME:?is not set; say where to with --dir}/.local/bin
  case $dir in /*) ;; *) dir=$PWD/$dir ;; esac
  base=${CURTAIN_INSTALL_BASE:-$repository/releases}
  target=$(machine)

  trap cleanup EXIT
  trap 'exit 129' HUP
  trap 'exit 130' INT
  trap 'exit 143' TERM
  work=$(mktemp -d)

  if [ -n "$version" ]; then from=$base/download/v$version; else from=$base/latest/download; fi
  fetch "$from/SHA256SUMS" "$work/SHA256SUMS" ||
    fail "cannot fetch $from/SHA256SUMS: there is no such release, or the network is away"
  # One line a file: its sum, and its name, which has the version.
  line=$(grep " [ *]*curtain-[0-9A-Za-z.+-]*-$target\.tar\.gz\$" "$work/SHA256SUMS" | head -n 1) ||
    fail "$from/SHA256SUMS has no archive for $target"
  [ -n "$line" ] || fail "$from/SHA256SUMS has no archive for $target"
  expected=${line%% *}
  archive=${line##*[ *]}
  found=${archive#curtain-}
  found=${found%-"$target".tar.gz}
  [ -z "$version" ] || [ "$version" = "$found" ] || fail "$from has version $found instead of $version"

  url=$base/download/v$found/$archive
  fetch "$url" "$work/$archive" || fail "cannot fetch $url"
  sum=$(checksum "$work/$archive")
  [ "$sum" = "$expected" ] ||
    fail "$url is not what SHA256SUMS says: expected $expected, got $sum. Nothing was installed."
  tar -xzf "$work/$archive" -C "$work" || fail "cannot unpack $archive"

  # Folders made here are part of what can be undone.
  missing=$dir
  while [ ! -d "$missing" ]; do
    made="$made $(quote "$missing")"
    missing=$(dirname "$missing")
  done
  mkdir -p "$dir" || fail "cannot make $dir; name another folder with --dir"
  [ ! -d "$dir/curtain" ] || fail "$dir/curtain is a folder; name another one with --dir"
  new=$(mktemp "$dir/.curtain-XXXXXX") || fail "cannot write into $dir; name another folder with --dir"
  cp "$work/curtain-$found-$target/curtain" "$new" || fail "cannot write $new"
  chmod 755 "$new"
  says=$("$new" --version) || fail "the binary does not run on this machine"
  [ "$says" = "curtain $found" ] || fail "the binary says that it is $says, not curtain $found"
  # Never half a file, and never none where there was one: processes of the former one go on.
  mv -f "$new" "$dir/curtain" || fail "cannot write $dir/curtain"
  new='' done=yes

  say "curtain $found is $dir/curtain"
  case :${PATH:-}: in
    *:"$dir":*) say "It is on your PATH: curtain up" ;;
    *)
      say "$dir is not on your PATH; this adds it, until you log out:"
      say "  export PATH=$(quote "$dir"):\$PATH"
      ;;
  esac
  say "To undo this, after \`curtain down\`:"
  say "  rm $(quote "$dir/curtain")${made:+ && rmdir$made}"
}

# Last, so that half a script does nothing.
main "$@"
