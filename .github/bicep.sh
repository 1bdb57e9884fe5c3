#!/usr/bin/env bash
# Every template and parameter file under the real Bicep compiler and linter, and formatted as the
# compiler formats. Needs the Azure CLI, and the network once: for the compiler, and for the types of
# Microsoft Graph that infra/entra uses. With --install it only installs the compiler.
set -euo pipefail
cd "$(dirname "$0")/.."

# infra/bicepconfig.json lists every rule of this version.
version=v0.49.2
# Build machines bring one of their own, which changes without notice.
export AZURE_BICEP_USE_BINARY_FROM_PATH=false AZURE_BICEP_CHECK_VERSION=false
az bicep install --version "$version"
[ "${1-}" != --install ] || exit 0

# A parameter file that reads a variable without a default does not compile where it is not set.
export ROOMBRIDGE_FEDERATED_PRINCIPAL_ID=${ROOMBRIDGE_FEDERATED_PRINCIPAL_ID:-00000000-0000-0000-0000-000000000000}

failed=()
check() { # FILE COMMAND...
  local file=$1
  shift
  printf '%s\n' "$*"
  "$@" || failed+=("$file")
}
compiled() { az bicep "$1" --file "$2" --stdout >/dev/null; }
formatted() { az bicep format --file "$1" --stdout | diff -u "$1" -; }

while read -r file; do
  check "$file" compiled build "$file"
  check "$file" az bicep lint --file "$file"
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
