#!/usr/bin/env bash
# Every template and parameter file under the real Bicep compiler and linter, and formatted as the
# compiler formats. Needs the network once, for the types of Microsoft Graph that infra/entra uses.
#
#   --path     only says where a compiler of this version is; where none is, the Azure CLI installs it
#   --install  only installs the compiler that the Azure CLI deploys with
set -euo pipefail
cd "$(dirname "$0")/.."

# The tests want this version, and infra/bicepconfig.json lists every rule of it.
version=v0.49.2
# Build machines bring one of their own, which changes without notice.
export AZURE_BICEP_USE_BINARY_FROM_PATH=false AZURE_BICEP_CHECK_VERSION=false
# The compiler needs no library for languages to start.
export DOTNET_SYSTEM_GLOBALIZATION_INVARIANT=1

install() { timeout 300 az bicep install --version "$version" >&2; }
installed=${AZURE_CONFIG_DIR:-$HOME/.azure}/bin/bicep

of_this_version() { [[ "$("$1" --version 2>/dev/null)" == *" ${version#v} "* ]]; }

# In PATH, among tools beside the checkout, or where the Azure CLI has put it.
found() {
  local place
  for place in "$(command -v bicep)" "$PWD/../shared/tools/bicep" "$installed"; do
    if [ -x "$place" ] && of_this_version "$place"; then
      printf '%s\n' "$place"
      return 0
    fi
  done
  return 1
}

if [ "${1-}" = --install ]; then
  install
  exit
fi
if ! compiler=$(found); then
  if ! command -v az >/dev/null; then
    echo "There is no Bicep ${version#v}, and no Azure CLI to install it." >&2
    exit 1
  fi
  install
  compiler=$(found)
fi
if [ "${1-}" = --path ]; then
  printf '%s\n' "$compiler"
  exit
fi

# A parameter file that reads a variable without a default does not compile where it is not set.
export ROOMBRIDGE_FEDERATED_PRINCIPAL_ID=${ROOMBRIDGE_FEDERATED_PRINCIPAL_ID:-00000000-0000-0000-0000-000000000000}

failed=()
check() { # FILE COMMAND...
  local file=$1
  shift
  printf '%s\n' "$*"
  "$@" || failed+=("$file")
}
compiled() { "$compiler" "$1" "$2" --stdout >/dev/null; }
formatted() { "$compiler" format "$1" --stdout | diff -u "$1" -; }

while read -r file; do
  check "$file" compiled build "$file"
  check "$file" "$compiler" lint "$file"
  check "$file" formatted "$file"
done < <(git ls-files 'infra/*.bicep')
while read -r file; do
  check "$file" compiled build-params "$file"
  check "$file" formatted "$file"
done < <(git ls-files 'infra/*.bicepparam')

if [ ${#failed[@]} -gt 0 ]; then
  printf 'FAILED: %s\n' "${failed[@]}" | sort -u
  exit 1
fi
