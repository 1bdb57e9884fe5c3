#!/usr/bin/env bash
# The check after a deployment: is what runs in Azure what the templates say, and does it answer as it should?
# Reads and asks only; the one thing it sends is a notification that must be dropped.
set -euo pipefail

usage() {
  cat >&2 <<'END'
usage: infra/check.sh RESOURCE_GROUP SITE [--pages-site NAME] [--wait SECONDS] [--wait-for-log SECONDS] [--strict]

  --pages-site NAME       the second app, where the pages have one of their own
  --wait SECONDS          how long after its start the app may still be getting ready [600]
  --wait-for-log SECONDS  look in the log for the dropped notification, for at most so long (600 is enough)
  --strict                whatever could not be checked counts as failed

One line a check: ok, FAILED or "not checked". Ends with 1 if anything failed, 2 if called wrongly.
Needs az (signed in) and curl. The rights that it needs: docs/operators.md, "Rights".
END
  exit 2
}

# What the program needs. `tests/it/infra/after.rs` holds these lists against the code.
queues=(fetch-event create-booking write-back maintain-mailbox maintain-tenant)
tables=(Tenants Mailboxes Appointments Bookings Rooms Due Failures Audit Register)
pages=(consent my-calendar)
work=(notifications fetch-event create-booking write-back maintain-mailbox maintain-tenant purge-expired dispatch-due)
required=(ROOMBRIDGE_QUEUE_URL ROOMBRIDGE_TABLE_URL ROOMBRIDGE_IDENTITY_CLIENT_ID
  ROOMBRIDGE_FEDERATED_CLIENT_ID ROOMBRIDGE_VAULT_URL ROOMBRIDGE_APP_ORGANISATION_WIDE
  ROOMBRIDGE_APP_SCOPED ROOMBRIDGE_APP_PEOPLE ROOMBRIDGE_APP_OPERATORS ROOMBRIDGE_TENANTS
  ROOMBRIDGE_NOTIFICATION_URL AzureWebJobsStorage__credential AzureWebJobsStorage__clientId
  APPLICATIONINSIGHTS_CONNECTION_STRING APPLICATIONINSIGHTS_AUTHENTICATION_STRING)
# Shell patterns. The first two come back by themselves in some deployments and break the identity.
forbidden=(AzureWebJobsStorage DEPLOYMENT_STORAGE_CONNECTION_STRING 'AzureWebJobsStorage__*[Kk]ey'
  'AzureWebJobsStorage__*[Cc]onnection*' AzureWebJobsDashboard FUNCTIONS_WORKER_RUNTIME
  FUNCTIONS_EXTENSION_VERSION WEBSITE_RUN_FROM_PACKAGE 'WEBSITE_CONTENT*'
  SCM_DO_BUILD_DURING_DEPLOYMENT ENABLE_ORYX_BUILD WEBSITE_TIME_ZONE TZ
  WEBSITE_MAX_DYNAMIC_APPLICATION_SCALE_OUT WEBSITE_VNET_ROUTE_ALL APPINSIGHTS_INSTRUMENTATIONKEY
  'AzureFunctionsJobHost__*' 'AzureWebJobs.*.Disabled' ROOMBRIDGE_CLOCK_OFFSET_SECONDS)
# Roles of the own identity: id, name, on what.
blob_owner=b7e6dc6d-f1e8-4753-8033-0f276bb0955b
queue_contributor=974c5e8b-45b9-4653-ba55-5f855dd0fb88
table_contributor=0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3
secrets_officer=b86a8fe4-44ce-4948-aee5-eccb2c155cd7
metrics_publisher=3913510d-42f4-4e42-8a64-420c390055eb

group=${1:-} site=${2:-}
case $group$site in '' | *-h | *--help) usage ;; esac
if [ "$#" -lt 2 ] || [ "${group#-}" != "$group" ] || [ "${site#-}" != "$site" ]; then usage; fi
shift 2
pages_site='' wait=600 wait_for_log='' strict=false
while [ "$#" -gt 0 ]; do
  case $1 in
    --pages-site) pages_site=${2:-} && [ -n "$pages_site" ] || usage && shift 2 ;;
    --wait | --wait-for-log)
      case ${2:-} in '' | *[!0-9]*) usage ;; esac
      case $1 in --wait) wait=$2 ;; --wait-for-log) wait_for_log=$2 ;; esac
      shift 2
      ;;
    --strict) strict=true && shift ;;
    *) usage ;;
  esac
done
for tool in az curl; do
  command -v "$tool" >/dev/null || { echo "$tool is not in PATH: install it (docs/operators.md, \"Before the first time\")" >&2 && exit 2; }
done

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
good=0 bad=0 skipped=0

# say NAME PROBLEM ADVICE: ok where there is no problem.
say() {
  if [ -z "$2" ]; then
    good=$((good + 1))
    printf 'ok           %s\n' "$1"
  else
    bad=$((bad + 1))
    local problem=${2#; }
    printf 'FAILED       %s: %s. %s\n' "$1" "${problem# }" "$3"
  fi
}

# not_checked NAME WHY-AND-WHAT-TO-DO
not_checked() {
  skipped=$((skipped + 1))
  printf 'not checked  %s: %s\n' "$1" "$2"
}

# ask FILE AZ-ARGUMENTS...: the answer's rows, lower case where az writes True, False and None.
ask() {
  local file=$scratch/$1
  shift
  if az "$@" --only-show-errors --output tsv </dev/null >"$file.raw" 2>"$scratch/why"; then
    sed -e 's/\r$//' -e 's/^True$/true/; s/^False$/false/; s/^None$//' "$file.raw" >"$file"
  else
    : >"$file"
    return 1
  fi
}

# arm FILE ID-WITH-API-VERSION QUERY: the same from Azure Resource Manager. A question mark joins them.
arm() { ask "$1" rest --method get --url "$2" --query "$3"; }

# why: what az said, on one line.
why() { printf 'it cannot be read (%s)' "$(tr '\n' ' ' <"$scratch/why" | cut -c1-200)"; }

# row FILE NUMBER: one row of an answer.
row() { sed -n "$2p" "$scratch/$1"; }

# count FILE: how many rows it has.
count() { awk 'NF { n++ } END { print n + 0 }' "$scratch/$1"; }

# setting NAME: its value, nothing when it is not there.
setting() { awk -F'\t' -v name="$1" '$1 == name { sub(/^[^\t]*\t/, ""); print; exit }' "$scratch/settings"; }

# account_of SETTING: the storage account that an address names.
account_of() {
  local url
  url=$(setting "$1") && url=${url#https://}
  printf '%s' "${url%%.*}"
}

# missing_from FILE NAME...: those that are not among the rows.
missing_from() {
  local file=$scratch/$1 name
  shift
  for name in "$@"; do grep -Fqx -- "$name" "$file" || printf ' %s' "$name"; done
}

# beyond FILE NAME...: rows that are none of these.
beyond() {
  local file=$scratch/$1
  shift
  printf '%s\n' "$@" >"$scratch/known"
  grep -Fvx -f "$scratch/known" "$file" | tr '\n' ' ' || true
}

# fetch FILE CURL-ARGUMENTS...: answers the status; FILE.head and FILE.body hold the rest.
fetch() {
  local file=$scratch/$1
  shift
  : >"$file.head" && : >"$file.body"
  curl --silent --show-error --max-time 10 --dump-header "$file.head" --output "$file.body" \
    --write-out '%{http_code}' "$@" 2>"$scratch/why" </dev/null || true
}

# fetch_when_ready FILE WHAT CURL-ARGUMENTS...: the same, again and again while the app is not there or not ready. A
# new one waits for its package, then for its roles, then for the keys, which `dispatch-due` makes every five minutes.
fetch_when_ready() {
  local file=$1 what=$2 status waiting=false
  shift 2
  while true; do
    status=$(fetch "$file" "$@")
    case $status in 000 | 404 | 5??) ;; *) break ;; esac
    [ "$SECONDS" -lt "$wait" ] || break
    $waiting || printf 'waiting      for %s, which answers %s, until %s s have passed\n' "$what" "$status" "$wait" >&2
    waiting=true
    sleep "${ROOMBRIDGE_RETRY_SECONDS:-15}"
  done
  printf '%s' "$status"
}

# header FILE NAME: its value.
header() { tr -d '\r' <"$scratch/$1.head" | awk -F': ' -v name="$2" 'tolower($1) == name { sub(/^[^:]*: */, ""); print; exit }'; }

# looks_secret VALUE: whether it looks like a key, a password or a connection string.
looks_secret() {
  case $1 in
    *AccountKey=* | *SharedAccessKey* | *SharedAccessSignature* | *DefaultEndpointsProtocol=* | \
      *[?\&]sig=* | *[Pp]assword=* | *[Pp][Ww][Dd]=* | *-----BEGIN* | *@Microsoft.KeyVault* | *InstrumentationKey=*) return 0 ;;
  esac
  # 32 or 64 bytes in base64; a client secret of Entra.
  [[ $1 =~ ^[A-Za-z0-9+/]{43}=$ || $1 =~ ^[A-Za-z0-9+/]{86}==$ || $1 =~ ^.{3}[0-9]Q~.{30,40}$ ]]
}

check_platform() {
  local id=$1 label=$2 problem=''
  if ! arm site "$id?api-version=2025-03-01" '[properties.state, properties.httpsOnly, properties.functionAppConfig.runtime.name, properties.functionAppConfig.runtime.version, properties.functionAppConfig.deployment.storage.authentication.type, identity.type]'; then
    say "$label app" "$(why)" 'Deploy it (infra/deploy.sh), or ask for the role Reader on the resource group.'
    return
  fi
  [ "$(row site 1)" = Running ] || problem+="; it is $(row site 1)"
  [ "$(row site 3)$(row site 4)" = custom1.0 ] || problem+="; its runtime is '$(row site 3) $(row site 4)' and not 'custom 1.0'"
  [ "$(row site 5)" = UserAssignedIdentity ] || problem+="; its package is opened by '$(row site 5)'"
  say "$label app runs as a custom handler, its package opened by identity" "$problem" 'Start it (az functionapp start), or deploy the stage site again.'

  problem=''
  [ "$(row site 2)" = true ] || problem+='; plain http is served'
  if arm web "$id/config/web?api-version=2025-03-01" '[properties.minTlsVersion, properties.scmMinTlsVersion, properties.remoteDebuggingEnabled]'; then
    case $(row web 1) in 1.2 | 1.3) ;; *) problem+="; TLS $(row web 1) is accepted" ;; esac
    case $(row web 2) in 1.2 | 1.3) ;; *) problem+="; TLS $(row web 2) is accepted by the deployment site" ;; esac
    [ "$(row web 3)" != true ] || problem+='; remote debugging is on'
  else
    problem+="; $(why)"
  fi
  say "$label https only, TLS 1.2 or later" "$problem" 'Deploy the stage site again: somebody changed it by hand.'

  problem=''
  if arm basic "$id/basicPublishingCredentialsPolicies?api-version=2025-03-01" 'value[?properties.allow].name'; then
    problem=$(tr '\n' ' ' <"$scratch/basic")
    problem=${problem:+passwords are accepted by: $problem}
  else
    problem=$(why)
  fi
  say "$label no deployment with a password" "$problem" 'Deploy the stage site again.'
  check_identities "$id" "$label"
}

check_identities() {
  local id=$1 label=$2 problem=''
  [ "$(row site 6)" = UserAssigned ] || problem+="; its identities are '$(row site 6)'"
  if arm identities "$id?api-version=2025-03-01" 'identity.userAssignedIdentities.*.[clientId, principalId]'; then
    [ "$(count identities)" -eq 2 ] || problem+="; it has $(count identities) identities and not two"
  else
    problem+="; $(why)"
  fi
  own=$(principal_of "$(setting ROOMBRIDGE_IDENTITY_CLIENT_ID)")
  federated=$(principal_of "$(setting ROOMBRIDGE_FEDERATED_CLIENT_ID)")
  [ -n "$own" ] || problem+='; ROOMBRIDGE_IDENTITY_CLIENT_ID is none of them'
  [ -n "$federated" ] || problem+='; ROOMBRIDGE_FEDERATED_CLIENT_ID is none of them'
  [ -z "$own" ] || [ "$own" != "$federated" ] || problem+='; one identity is both'
  say "$label two user-assigned identities, and no other" "$problem" 'Deploy the stage site again.'
}

principal_of() { [ -z "$1" ] || awk -F'\t' -v id="$1" '$1 == id { print $2 }' "$scratch/identities"; }

check_settings() {
  local label=$1 name value pattern problem=''
  if ! ask settings functionapp config appsettings list --resource-group "$group" --name "$2" --query '[].[name, value]'; then
    say "$label settings" "$(why)" 'Ask for the role Website Contributor on the app: it is needed to list settings.'
    wait=0 # the address is among them
    return
  fi
  cut -f1 "$scratch/settings" >"$scratch/names"
  while read -r name || [ -n "$name" ]; do
    for pattern in "${forbidden[@]}"; do
      # shellcheck disable=SC2254 # patterns are meant as patterns
      case $name in $pattern) problem+=" $name" ;; esac
    done
  done <"$scratch/names"
  say "$label no setting that must not exist" "$problem" 'Deploy the stage site again, which removes them; then find out who set them.'

  problem=''
  for name in "${required[@]}"; do [ -n "$(setting "$name")" ] || problem+=" $name"; done
  say "$label every setting that must exist" "${problem:+missing:$problem}" 'Deploy the stage site again.'

  problem=''
  while IFS=$'\t' read -r name value || [ -n "$name" ]; do
    # It says where to write. A key in it opens nothing, as the component takes none: checked below.
    [ "$name" != APPLICATIONINSIGHTS_CONNECTION_STRING ] || continue
    if looks_secret "$value"; then problem+=" $name"; fi
  done <"$scratch/settings"
  say "$label no setting looks like a key or a connection string" "$problem" 'Remove it, and make that key worthless: it was readable to everybody who may list settings.'

  problem=''
  local account
  account=$(account_of ROOMBRIDGE_QUEUE_URL)
  [ "$(setting AzureWebJobsStorage__credential)" = managedidentity ] || problem+='; AzureWebJobsStorage__credential is not managedidentity'
  [ "$(setting AzureWebJobsStorage__clientId)" = "$(setting ROOMBRIDGE_IDENTITY_CLIENT_ID)" ] || problem+='; AzureWebJobsStorage__clientId is not the own identity'
  [ "$(setting APPLICATIONINSIGHTS_AUTHENTICATION_STRING)" = "ClientId=$(setting ROOMBRIDGE_IDENTITY_CLIENT_ID);Authorization=AAD" ] || problem+='; telemetry is not sent by the own identity'
  [ "$(account_of ROOMBRIDGE_TABLE_URL)" = "$account" ] || problem+='; ROOMBRIDGE_TABLE_URL is of another account'
  # In the public cloud the host gets the account's name; the addresses, which do there too, have been
  # reported to fail now and then. Elsewhere it needs the addresses.
  if [ "$cloud" = AzureCloud ]; then
    [ "$(setting AzureWebJobsStorage__accountName)" = "$account" ] || problem+='; AzureWebJobsStorage__accountName is of another account'
    ! grep -q '^AzureWebJobsStorage__.*ServiceUri$' "$scratch/names" || problem+='; AzureWebJobsStorage has addresses beside its name'
  else
    for name in blob queue table; do
      [ "$(account_of "AzureWebJobsStorage__${name}ServiceUri")" = "$account" ] || problem+="; AzureWebJobsStorage__${name}ServiceUri is of another account"
    done
  fi
  say "$label host and handler use one account, by identity" "$problem" 'Deploy the stage site again.'
}

check_functions() {
  local label=$1 name=$2 problem=''
  shift 2
  if ask functions functionapp function list --resource-group "$group" --name "$name" --query '[].name'; then
    sed -i.bak 's|^.*/||' "$scratch/functions"
    problem=$(missing_from functions "$@")
    problem=${problem:+missing:$problem}
    local more
    more=$(beyond functions "$@")
    problem+=${more:+; unknown: ${more% }}
  else
    problem=$(why)
  fi
  say "$label the functions of the package, and no other" "$problem" 'Deploy the package again (--stage package).'
}

check_storage() {
  local account problem=''
  account=$(account_of ROOMBRIDGE_QUEUE_URL)
  storage=''
  if ask storage storage account show --resource-group "$group" --name "$account" --query '[id, to_string(allowSharedKeyAccess), to_string(allowBlobPublicAccess), minimumTlsVersion, to_string(enableHttpsTrafficOnly)]'; then
    storage=$(row storage 1)
    [ "$(row storage 2)" = false ] || problem+='; shared keys open it'
    [ "$(row storage 3)" = false ] || problem+='; blobs may be public'
    [ "$(row storage 4)" = TLS1_2 ] || problem+="; $(row storage 4) is accepted"
    [ "$(row storage 5)" = true ] || problem+='; http is served'
  else
    problem=$(why)
  fi
  say 'storage account opens by identity alone' "$problem" 'Deploy the stage foundation again: somebody changed it by hand.'
  [ -n "$storage" ] || return 0

  local queue names=()
  for queue in "${queues[@]}"; do names+=("$queue" "$queue-poison"); done
  parts queues "$storage/queueServices/default/queues" 'queues and poison queues' "${names[@]}"
  parts tables "$storage/tableServices/default/tables" 'tables' "${tables[@]}"

  check_container "$1" "$site:"
  [ -z "$pages_id" ] || check_container "$pages_id" "$pages_site:"
}

check_container() {
  local container problem=''
  if arm site "$1?api-version=2025-03-01" '[properties.functionAppConfig.deployment.storage.value]'; then
    container=$(row site 1) && container=${container##*/}
    if [ -z "$container" ]; then
      problem='the app names none'
    elif arm container "$storage/blobServices/default/containers/$container?api-version=2025-06-01" '[name, properties.publicAccess]'; then
      case $(row container 2) in '' | None) ;; *) problem="it is public ($(row container 2))" ;; esac
    else
      problem="$container: $(why)"
    fi
  else
    problem=$(why)
  fi
  say "$2 the package container exists and is private" "$problem" 'Deploy the stage foundation again.'
}

parts() {
  local file=$1 url=$2 label=$3 problem=''
  shift 3
  if arm "$file" "$url?api-version=2025-06-01" 'value[].name'; then
    problem=$(missing_from "$file" "$@")
    problem=${problem:+missing:$problem}
  else
    problem=$(why)
  fi
  say "$label exist" "$problem" 'Deploy the stage foundation again.'
}

check_vault_and_telemetry() {
  local problem='' name
  name=$(setting ROOMBRIDGE_VAULT_URL) && name=${name#https://} && name=${name%%.*}
  vault=''
  if ask vault keyvault show --resource-group "$group" --name "$name" --query '[id, to_string(properties.enableRbacAuthorization), to_string(properties.enablePurgeProtection)]'; then
    vault=$(row vault 1)
    [ "$(row vault 2)" = true ] || problem+='; access policies open it'
    [ "$(row vault 3)" = true ] || not_checked 'key vault keeps what is deleted' 'purge protection is off, as infra/env/dev.bicepparam wants it; anywhere else set vaultPurgeProtection.'
  else
    problem=$(why)
  fi
  say 'key vault opens by role' "$problem" 'Deploy the stage foundation again.'

  problem='' insights=''
  if ask component resource list --resource-group "$group" --resource-type Microsoft.Insights/components --query '[].id'; then
    insights=$(row component 1)
    if arm insights "$insights?api-version=2020-02-02" '[to_string(properties.DisableLocalAuth), properties.WorkspaceResourceId, properties.InstrumentationKey]'; then
      [ "$(row insights 1)" = true ] || problem+='; anyone who knows its key may write to it'
      case $(setting APPLICATIONINSIGHTS_CONNECTION_STRING) in *"$(row insights 3)"*) ;; *) problem+='; the app writes to another one' ;; esac
    else
      problem=$(why)
    fi
  else
    problem=$(why)
  fi
  say 'telemetry is taken from identities alone' "$problem" 'Deploy the stage foundation again.'
}

check_roles() {
  local problem='' more
  local want=("$blob_owner on $storage" "$queue_contributor on $storage" "$table_contributor on $storage"
    "$secrets_officer on $vault" "$metrics_publisher on $insights")
  if [ -z "$own" ]; then
    problem='it is not known who that is'
  elif [ -z "$storage" ] || [ -z "$vault" ] || [ -z "$insights" ]; then
    problem='what it should have roles on is not all known, see above'
  elif ask roles role assignment list --all --assignee-object-id "$own" --include-groups --fill-principal-name false --query '[].[roleDefinitionId, scope]'; then
    fold_roles
    problem=$(lower "${want[@]}" | while read -r line; do grep -Fqx -- "$line" "$scratch/roles" || printf ' %s' "${line// on / on }"; done)
    problem=${problem:+missing:$problem}
    mapfile -t want < <(lower "${want[@]}")
    more=$(beyond roles "${want[@]}")
    problem+=${more:+; too much: ${more% }}
  else
    problem=$(why)
  fi
  say 'own identity: its five roles in this subscription, and no other' "$problem" 'Missing: deploy the stage foundation again. Too much: az role assignment delete, after asking who added it.'

  problem=''
  if [ -z "$federated" ]; then
    problem='it is not known who that is'
  elif ask roles role assignment list --all --assignee-object-id "$federated" --include-groups --fill-principal-name false --query '[].[roleDefinitionId, scope]'; then
    fold_roles
    problem=$(tr '\n' ' ' <"$scratch/roles")
  else
    problem=$(why)
  fi
  say 'federated identity: no role in this subscription' "$problem" 'az role assignment delete, after asking who added it.'
}

# Resource ids are compared without case, as Azure does.
lower() { printf '%s\n' "$@" | tr '[:upper:]' '[:lower:]'; }
fold_roles() {
  awk -F'\t' '{ n = split($1, part, "/"); print tolower(part[n] " on " $2) }' "$scratch/roles" >"$scratch/roles.folded"
  mv "$scratch/roles.folded" "$scratch/roles"
}

check_webhook() {
  local url status problem='' token='Validation: Testing ✓ a&b+%'
  url=$(setting ROOMBRIDGE_NOTIFICATION_URL)
  status=$(fetch_when_ready handshake 'the handshake' --request POST --data '' "$url?validationToken=Validation%3A+Testing+%E2%9C%93+a%26b%2B%25")
  # The program never answers so.
  if [ "$status" = 403 ]; then
    not_checked 'handshake and test notification' 'The platform keeps this machine out (allowedSources). Health on the consent page shows whether Graph gets through.'
    return
  fi
  case $status in
    200)
      [ "$(cat "$scratch/handshake.body")" = "$token" ] || problem+='; the token does not come back decoded'
      case $(header handshake content-type) in text/plain*) ;; *) problem+="; it comes as '$(header handshake content-type)'" ;; esac
      ;;
    000) problem="no answer in 10 s: $(tr '\n' ' ' <"$scratch/why")" ;;
    *) problem="$url answers $status" ;;
  esac
  say 'the handshake of Graph is answered' "$problem" 'Without it no calendar can be subscribed. 404: the package is not there. 503, or nothing: read the log (az webapp log tail, or AppTraces).'
  check_dropping "$url"

  problem=''
  status=$(fetch none --header 'Content-Type: application/json' --data '{}' "$url")
  [ "$status" = 400 ] || problem="it answers $status and not 400"
  say 'a body that is no notification is refused' "$problem" 'Something in front of the app answers in its place.'

  problem=''
  local root=${url%/api/*} name
  for name in fetch-event dispatch-due; do
    status=$(fetch none --header 'Content-Type: application/json' --data '{}' "$root/$name")
    case $status in 401 | 403 | 404) ;; *) problem+="; POST /$name answers $status" ;; esac
  done
  say 'queue and timer functions cannot be reached from outside' "$problem" 'Stop the app (az functionapp stop) until host.json has its route prefix again.'

  problem=''
  status=$(fetch plain --request POST --data '' "http://${url#https://}?validationToken=x")
  case $status in
    301 | 302 | 307 | 308) case $(header plain location) in https://*) ;; *) problem="it leads to $(header plain location)" ;; esac ;;
    *) problem="http answers $status" ;;
  esac
  say 'plain http leads to https' "$problem" 'Deploy the stage site again (httpsOnly).'
}

# The webhook answers 202 to every well-formed POST, before it tells anybody whether it believed an
# item: who guesses must not learn from the answer. So from outside nothing more can be seen than 202;
# that the item was dropped is in the log.
check_dropping() {
  local body status since problem=''
  since=$(date -u +%Y-%m-%dT%H:%M:%SZ)
  body='{"value":[{"subscriptionId":"00000000-0000-4000-8000-000000000000","clientState":"made-up-by-check","changeType":"updated","resource":"Users/00000000-0000-4000-8000-000000000001/Events/none","subscriptionExpirationDateTime":"2030-01-01T00:00:00Z","tenantId":"00000000-0000-4000-8000-000000000002","resourceData":{"@odata.type":"#Microsoft.Graph.Event","@odata.id":"Users/00000000-0000-4000-8000-000000000001/Events/none","id":"none"}}]}'
  status=$(fetch_when_ready forged 'the webhook' --header 'Content-Type: application/json' --data "$body" "$1")
  [ "$status" = 202 ] || problem="it answers $status and not 202"
  say 'a notification with a made-up client state gets the same empty 202 as any' "$problem" '503: the client-state keys are unavailable (docs/operators.md, "When something is wrong").'
  query="AppTraces | where TimeGenerated >= datetime($since) | where Message has 'items with an invalid client state' | count"
}

# Last of all, because a line takes minutes to arrive.
check_log() {
  local name='that notification was dropped, says the log' workspace endpoint started=$SECONDS
  [ -n "$query" ] || return 0
  if [ -z "$wait_for_log" ]; then
    not_checked "$name" "lines arrive minutes later: call again with --wait-for-log 600, or ask the workspace: $query"
    return
  fi
  if ! arm workspace "$(row insights 2)?api-version=2025-02-01" '[properties.customerId]'; then
    not_checked "$name" "$(why). Ask for the role Log Analytics Reader on the workspace."
    return
  fi
  workspace=$(row workspace 1) endpoint=$(row cloud 2)
  while true; do
    if ! ask found rest --method post --url "$endpoint/v1/workspaces/$workspace/query" --resource "$endpoint" --body "{\"query\": \"$query\"}" --query 'tables[0].rows[0]'; then
      not_checked "$name" "$(why). Ask for the role Log Analytics Reader on the workspace."
      return
    fi
    case $(row found 1) in '' | 0) ;; *) say "$name" '' '' && return ;; esac
    [ $((SECONDS - started)) -lt "$wait_for_log" ] || break
    sleep 30
  done
  say "$name" "no line within $wait_for_log s" 'Either the log does not arrive (role Monitoring Metrics Publisher, daily cap), or the item was believed: look at AppTraces and at the queue fetch-event.'
}

check_pages() {
  local base url status name value problem
  base=$(setting ROOMBRIDGE_PAGES_URL)
  [ -n "$base" ] || { base=$(setting ROOMBRIDGE_NOTIFICATION_URL) && base=${base%/*}; }
  for url in "$base/consent" "$base/my-calendar"; do
    problem=''
    status=$(fetch_when_ready page "the page ${url##*/}" "$url")
    [ "$status" = 200 ] || problem=" it answers $status"
    while IFS='|' read -r name value; do
      case $(header page "$name") in "$value"*) ;; *) problem+="; $name is '$(header page "$name")'" ;; esac
    done <<'END'
strict-transport-security|max-age=63072000
x-content-type-options|nosniff
x-frame-options|DENY
referrer-policy|no-referrer
cross-origin-opener-policy|same-origin
cross-origin-resource-policy|same-origin
permissions-policy|camera=()
content-security-policy|default-src 'none'
cache-control|no-store
END
    say "the page ${url##*/} answers with the headers that protect it" "$problem" 'Something in front of the app changes its answers, or the package is not there. 503: no keys (docs/operators.md, "When something is wrong").'
  done
}

# registration NAME SETTING TRUSTS REDIRECT...: no secret, its federated credential, the redirect addresses.
check_registration() {
  local name=$1 id trusts=$3 problem='' redirect
  id=$(setting "$2")
  shift 3
  if ! ask app ad app show --id "$id" --query '[length(passwordCredentials), length(keyCredentials)]' ||
    ! ask redirects ad app show --id "$id" --query 'web.redirectUris' ||
    ! ask trusts ad app federated-credential list --id "$id" --query '[].[subject, audiences[0], issuer]'; then
    not_checked "registration $name" "$(why). Let somebody who may read app registrations run this."
    return
  fi
  [ "$(row app 1)" = 0 ] || problem+="; it has $(row app 1) client secrets"
  [ "$(row app 2)" = 0 ] || problem+="; it has $(row app 2) certificates"
  # Secrets can hang at the enterprise application, too. Where there is none here, there is no secret.
  if ask principal ad sp show --id "$id" --query '[length(passwordCredentials), length(keyCredentials)]'; then
    [ "$(row principal 1)$(row principal 2)" = 00 ] || problem+='; its enterprise application has secrets'
  fi
  if [ "$(count trusts)" -ne "$trusts" ]; then
    problem+="; it trusts $(count trusts) federated credentials and not $trusts"
  elif [ "$trusts" -eq 1 ]; then
    [ "$(cut -f1 "$scratch/trusts")" = "$federated" ] || problem+='; it trusts somebody else than the federated identity'
    case $(cut -f2 "$scratch/trusts") in api://AzureADTokenExchange*) ;; *) problem+="; its audience is $(cut -f2 "$scratch/trusts")" ;; esac
    case $(cut -f3 "$scratch/trusts") in https://*/"$tenant"/v2.0) ;; *) problem+="; its issuer is $(cut -f3 "$scratch/trusts")" ;; esac
  fi
  for redirect in "$@"; do
    grep -Fqx -- "$redirect" "$scratch/redirects" || problem+="; the address $redirect is not among its redirects"
  done
  say "registration $name: no secret, $trusts federated credential, its redirects" "$problem" 'docs/operators.md, "Registrations". A secret: delete it, and read its sign-in log.'
}

check_registrations() {
  local base
  base=$(setting ROOMBRIDGE_PAGES_URL)
  [ -n "$base" ] || { base=$(setting ROOMBRIDGE_NOTIFICATION_URL) && base=${base%/*}; }
  tenant=''
  if ask account account show --query '[tenantId]'; then tenant=$(row account 1); fi
  check_registration organisation-wide ROOMBRIDGE_APP_ORGANISATION_WIDE 1 "$base/consent/granted"
  check_registration scoped ROOMBRIDGE_APP_SCOPED 1 "$base/consent/granted"
  check_registration people ROOMBRIDGE_APP_PEOPLE 1 "$base/consent/signed-in" "$base/my-calendar/signed-in"
  # Nothing asks tokens for it yet, so it trusts nobody.
  check_registration operators ROOMBRIDGE_APP_OPERATORS 0
}

# site_id NAME: nothing when it cannot be found.
site_id() {
  if ask found functionapp show --resource-group "$group" --name "$1" --query '[id]'; then row found 1; fi
}

own='' federated='' storage='' vault='' insights='' tenant='' pages_id='' query='' cloud=AzureCloud
if ask cloud cloud show --query '[name, endpoints.logAnalyticsResourceId]'; then cloud=$(row cloud 1); fi
id=$(site_id "$site")
if [ -z "$id" ]; then
  say "$site" "$(why)" 'Is the name right, are you signed in (az login), in the right subscription (az account set), with the role Reader?'
  exit 1
fi
if [ -n "$pages_site" ]; then
  pages_id=$(site_id "$pages_site")
  if [ -z "$pages_id" ]; then
    say "$pages_site" "$(why)" 'Is the name right?'
  else
    check_settings "$pages_site:" "$pages_site"
    check_platform "$pages_id" "$pages_site:"
  fi
fi
check_settings "$site:" "$site"
check_platform "$id" "$site:"
check_storage "$id"
check_vault_and_telemetry
check_roles
check_webhook
check_pages
# A package that has just been taken is listed once it answers.
if [ -n "$pages_site" ]; then
  check_functions "$site:" "$site" "${work[@]}"
  [ -z "$pages_id" ] || check_functions "$pages_site:" "$pages_site" "${pages[@]}"
else
  check_functions "$site:" "$site" "${work[@]}" "${pages[@]}"
fi
check_registrations
check_log

printf '%s ok, %s failed, %s not checked\n' "$good" "$bad" "$skipped"
if $strict; then bad=$((bad + skipped)); fi
[ "$bad" -eq 0 ]
