# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash
# What the jobs/fetch-* scripts share: Debian packages are downloaded, unpacked side by side and listed.  To be sourced.
#
# A script defines table(), which prints `GROUP PACKAGE LICENCE...` lines (the licence is used where the package's own
# copyright file is not machine readable), and ends with one call:
#
#   at_fetch DIR "GROUP ..." HINT      the groups' packages to DIR/PACKAGE, with DIR/manifest.tsv
#
# which does not return.  HINT is said when a package could not be had.  Variables of the caller that are set: dir.

say() { printf '%s: %s\n' "$(basename "$0")" "$*" >&2; }

# usage FIRST LAST: these lines of the script's head comment
usage() {
  sed -n "$1,$2s/^# \\{0,1\\}//p" "$0" >&2
  exit 2
}

# The groups of the table, in its order.
groups() { table | awk '!seen[$1]++ { print $1 }'; }

# licence PACKAGE FOLDER FALLBACK: the short names of a machine-readable copyright file, else FALLBACK.
licence() {
  local file="$2/usr/share/doc/$1/copyright" names=""
  if [[ -r $file ]] && head -n 5 "$file" | grep -qi '^Format:.*copyright-format'; then
    names=$(awk 'tolower($1) == "files:" { in_files = 1 }
                 /^[ \t]*$/ { in_files = 0 }
                 in_files && tolower($1) == "license:" { sub(/^[^:]*:[ \t]*/, ""); sub(/[ \t]+$/, "")
                   if ($0 != "" && !seen[$0]++) { printf "%s%s", sep, $0; sep = "; " } }' "$file" | tr '\t' ' ')
  fi
  printf '%s' "${names:-$3}"
}

# fetch PACKAGE LICENCE: download, unpack beside its final place, move there, note it in the manifest.
fetch() {
  local package=$1 tmp deb version sha row
  tmp=$(mktemp -d "$dir/.fetch-XXXXXX") || return 1
  # shellcheck disable=SC2064
  trap "rm -rf '$tmp'; exit 1" INT TERM
  if ! (cd "$tmp" && apt-get -q download "$package") >"$tmp/log" 2>&1; then
    say "$package: apt-get download failed: $(grep -m1 '^E:' "$tmp/log" || tail -n 1 "$tmp/log")"
    rm -rf "$tmp"
    return 1
  fi
  deb=$(find "$tmp" -maxdepth 1 -name '*.deb' | head -n 1)
  if [[ -z $deb ]]; then
    say "$package: apt-get download left no .deb behind"
    rm -rf "$tmp"
    return 1
  fi
  if ! dpkg -x "$deb" "$tmp/files" 2>"$tmp/log"; then
    say "$package: cannot be unpacked: $(tail -n 1 "$tmp/log")"
    rm -rf "$tmp"
    return 1
  fi
  version=$(dpkg-deb -f "$deb" Version)
  sha=$(sha256sum "$deb" | cut -d' ' -f1)
  row="$package"$'\t'"$version"$'\t'"$sha"$'\t'"$(licence "$package" "$tmp/files" "$2")"
  rm -rf "${dir:?}/$package"
  chmod 755 "$tmp/files"
  mv "$tmp/files" "$dir/$package" || return 1
  { printf 'package\tversion\tsha256\tlicence\n'
    { [[ -f $dir/manifest.tsv ]] && awk -F'\t' -v p="$package" 'NR > 1 && $1 != p' "$dir/manifest.tsv"
      printf '%s\n' "$row"; } | LC_ALL=C sort; } >"$tmp/manifest" && mv "$tmp/manifest" "$dir/manifest.tsv"
  rm -rf "$tmp"
  say "$package $version"
}

at_fetch() {
  local wanted=$2 hint=$3 group package fallback tool failed=()
  dir=$1
  for group in $wanted; do
    if ! groups | grep -qxF -- "$group"; then
      say "there is no '$group'; there are: $(groups | tr '\n' ' ')"
      exit 2
    fi
  done
  for tool in apt-get dpkg dpkg-deb sha256sum; do
    if ! command -v "$tool" >/dev/null; then
      say "$tool is not on this machine: fetch on a Debian-like system and copy the folder"
      [[ -z $hint ]] || say "$hint"
      exit 1
    fi
  done
  mkdir -p "$dir" || exit 1
  while read -r group package fallback; do
    [[ " $(tr '\n' ' ' <<<"$wanted") " == *" $group "* ]] || continue
    if [[ -d $dir/$package ]] && grep -qs "^$package"$'\t' "$dir/manifest.tsv"; then
      say "$package is there"
    else
      fetch "$package" "$fallback" </dev/null || failed+=("$package")
    fi
  done < <(table)
  if [[ ${#failed[@]} -gt 0 ]]; then
    say "not fetched: ${failed[*]}"
    say "if apt knows no such package, 'apt-get update' may help"
    [[ -z $hint ]] || say "$hint"
    exit 1
  fi
  exit 0
}
