#!/usr/bin/env bash
# Brings Roombridge up in a resource group, or up to date. Every stage may be run again: what is there
# is changed to what the templates say, and nothing is made twice.
set -euo pipefail

# usage [WHAT-IS-WRONG]
usage() {
  cat >&2 <<'END'
usage: infra/deploy.sh ENV RESOURCE_GROUP [--stage NAME] [--registrations WAY] [--package FOLDER] [--what-if [--reader]]

  ENV                     dev, test or prod: infra/env/ENV.bicepparam and infra/entra/env/ENV.bicepparam,
                          which read the environment (docs/operators.md, "What to decide first")
  --stage NAME            one of these alone; without it, all of them in this order:
      foundation          identities, roles, storage, vault, logs (main.bicep without the app)
      registrations       the app registrations, which trust the federated identity
      site                the app, its settings and alerts (main.bicep)
      package             the program, with ten tries: a new role takes minutes to be known everywhere
      redirects           the registrations again, now that the pages' address is known
      check               infra/check.sh
  --registrations WAY     who makes the registrations
      bicep               this, with infra/entra/registrations.bicep (the default; public cloud)
      script              this, with infra/entra/registrations.sh
      given               somebody with rights in Entra; their client ids are in the environment as
                          ROOMBRIDGE_APP_ORGANISATION_WIDE, _SCOPED, _PEOPLE and _OPERATORS
  --package FOLDER        where `cargo pack` put the zip [target/package]
  --what-if               prints what would change, and changes nothing
  --reader                with --what-if: does not ask whether the one who compares may also deploy

Needs az (signed in, the subscription chosen) with Bicep, and for the package sha256sum.
END
  [ -z "${1:-}" ] || printf '\n%s\n' "$1" >&2
  exit 2
}

here=$(cd "$(dirname "$0")" && pwd)
environment=${1:-} group=${2:-}
case $environment in dev | test | prod) ;; '' | -*) usage ;; *) usage "There is no environment '$environment'." ;; esac
case $group in '' | -*) usage 'The resource group is missing.' ;; esac
shift 2
stage=all way=bicep folder=$here/../target/package what_if=false level=Provider
while [ "$#" -gt 0 ]; do
  case $1 in
    --what-if) what_if=true && shift ;;
    --reader) level=ProviderNoRbac && shift ;;
    --stage | --registrations | --package)
      [ "$#" -ge 2 ] || usage "$1 wants a value."
      case $1 in --stage) stage=$2 ;; --registrations) way=$2 ;; --package) folder=$2 ;; esac
      shift 2
      ;;
    *) usage "'$1' is not known." ;;
  esac
done
case $stage in all | foundation | registrations | site | package | redirects | check) ;; *) usage "There is no stage '$stage'." ;; esac
case $way in bicep | script | given) ;; *) usage "--registrations takes bicep, script or given, not '$way'." ;; esac
[ "$level" = Provider ] || $what_if || usage '--reader only compares: it needs --what-if.'

# What is set and empty would beat the defaults of the parameter files.
for name in "${!ROOMBRIDGE_@}"; do [ -n "${!name}" ] || unset "$name"; done

say() { printf '\n== %s\n' "$*"; }
# stop WHAT WHAT-TO-DO
stop() {
  printf '\nSTOPPED: %s\n  next: %s\n' "$1" "$2" >&2
  exit 1
}

# output DEPLOYMENT NAME: what the last deployment of that name answered; nothing when there is none.
output() {
  az deployment group show --resource-group "$group" --name "$1" \
    --query "properties.outputs.$2.value" --output tsv 2>/dev/null || true
}

# parameter NAME: what the last deployment of the app was given.
parameter() {
  az deployment group show --resource-group "$group" --name roombridge-site \
    --query "properties.parameters.$1" --output tsv 2>/dev/null || true
}

# budget_start: the month in which the budget began; nothing where there is none, or nobody may read it.
budget_start() {
  az rest --method get --url "$group_id/providers/Microsoft.Consumption/budgets?api-version=2024-08-01" \
    --query "value[?starts_with(name, 'budget-') && ends_with(name, '-$environment')].properties.timePeriod.startDate | [0]" \
    --output tsv 2>/dev/null | cut -c1-10 || true
}

# resources NAME: main.bicep, deployed or only compared. The files under env/ read the environment.
resources() {
  ROOMBRIDGE_BUDGET_START=$(budget_start)
  export ROOMBRIDGE_BUDGET_START
  if $what_if; then
    az deployment group what-if --resource-group "$group" --name "$1" --validation-level "$level" \
      --parameters "$here/env/$environment.bicepparam" ||
      stop "the comparison failed" 'read the line above; BCP… comes from the template, AuthorizationFailed from missing rights (docs/operators.md, "Rights")'
  else
    az deployment group create --resource-group "$group" --name "$1" --output none \
      --parameters "$here/env/$environment.bicepparam" ||
      stop "the deployment $1 failed" "az deployment operation group list -g $group -n $1 --query \"[?properties.provisioningState=='Failed'].properties.statusMessage\"; then run the stage again: what was made stays and is taken up"
  fi
}

preflight() {
  local known provider missing=''
  command -v az >/dev/null ||
    stop 'az is not in PATH' 'install the Azure CLI, 2.91 or later (https://learn.microsoft.com/cli/azure/install-azure-cli), and Bicep: az bicep install'
  az account show --query name --output tsv >/dev/null 2>&1 ||
    stop 'az is not signed in' 'az login, then az account set --subscription NAME'
  group_id=$(az group show --name "$group" --query id --output tsv 2>/dev/null) ||
    stop "there is no resource group $group in this subscription" "az group create --name $group --location REGION (az functionapp list-flexconsumption-locations says which regions can)"
  # Someone who may deploy to the group alone need not be able to read this of the subscription.
  known=$(az provider list --query "[?registrationState=='Registered'].namespace" --output tsv 2>/dev/null) || {
    echo 'not checked: whether the resource providers are registered, which is for readers of the subscription' >&2
    return 0
  }
  for provider in Microsoft.App Microsoft.Authorization Microsoft.Insights Microsoft.KeyVault \
    Microsoft.ManagedIdentity Microsoft.Network Microsoft.OperationalInsights Microsoft.Storage Microsoft.Web; do
    # Azure spells some of them in lower case.
    grep -Fqix -- "$provider" <<<"$known" || missing+=" $provider"
  done
  [ -z "$missing" ] || stop "not registered in this subscription:$missing" \
    "for p in$missing; do az provider register --namespace \$p --wait; done"
}

foundation() {
  say 'foundation: identities, roles, storage, vault, logs'
  # Where there is an app already it stays as it is: a deployment adds and changes, and deletes nothing.
  ROOMBRIDGE_WITH_SITE=false resources roombridge-foundation
}

principal() {
  federated=$(output roombridge-foundation federatedIdentityPrincipalId)
  [ -n "$federated" ] || stop 'the federated identity is not known' "infra/deploy.sh $environment $group --stage foundation"
}

# apps: sets `work` and `pages`, the names of the apps; empty where there is none. A deployment that failed, or is
# under way, answers nothing: then Azure is asked what is there. Names as in main.bicep.
apps() {
  local names name
  work=$(output roombridge-site siteName) pages=$(output roombridge-site pagesSiteName)
  [ -z "$work" ] || return 0
  names=$(az functionapp list --resource-group "$group" --query '[].name' --output tsv) ||
    stop 'it is not known whether there is an app' 'read the line above, and run the stage again'
  for name in $names; do
    case $name in *-pages-"$environment"-*) pages=$name ;; *-"$environment"-*) work=$name ;; esac
  done
}

# pages_url: the address of the pages; nothing where there is no app. What the last good deployment gave the app
# counts where the last of all answers nothing.
pages_url() {
  local work pages url
  url=$(output roombridge-site pagesUrl)
  if [ -z "$url" ]; then
    apps
    [ -z "$work" ] || url=$(az functionapp config appsettings list --resource-group "$group" --name "$work" \
      --query "[?name=='ROOMBRIDGE_PAGES_URL'].value" --output tsv) ||
      stop "the settings of $work cannot be read" 'read the line above, and run the stage again'
  fi
  printf '%s' "$url"
}

# registrations: makes or changes them. Without the pages' address their redirect addresses would be
# taken away, so it is handed on as soon as it is known.
registrations() {
  local pages people lines
  if $what_if && [ -z "$(output roombridge-foundation federatedIdentityPrincipalId)" ]; then
    say 'registrations: not compared, because there is no federated identity before the stage foundation'
    return
  fi
  principal
  case $way in bicep | script) pages=$(pages_url) ;; esac
  case $way in
    given)
      say "registrations: made by others; each must trust the principal $federated"
      ids
      ;;
    script)
      say 'registrations: infra/entra/registrations.sh'
      local more=()
      [ -z "$pages" ] || more+=(--pages-url "$pages")
      ! $what_if || more+=(--dry-run)
      lines=$("$here/entra/registrations.sh" --environment "$environment" --federated-principal-id "$federated" ${more[@]+"${more[@]}"}) ||
        stop 'the registrations were not made' 'read the line above; with no rights in Entra: --registrations given (docs/operators.md, "Registrations")'
      if $what_if; then
        printf '%s\n' "$lines"
        return
      fi
      take "$lines"
      # The only place where they are given: a later run of one stage gets them from the environment.
      printf 'ROOMBRIDGE_APP_%s\n' "ORGANISATION_WIDE=$ROOMBRIDGE_APP_ORGANISATION_WIDE" "SCOPED=$ROOMBRIDGE_APP_SCOPED" \
        "PEOPLE=$ROOMBRIDGE_APP_PEOPLE" "OPERATORS=$ROOMBRIDGE_APP_OPERATORS"
      ;;
    bicep)
      if $what_if; then
        say 'registrations: Azure compares nothing of Entra. To see what would be written: infra/entra/registrations.sh … --dry-run'
        return
      fi
      say 'registrations: infra/entra/registrations.bicep'
      still_deleted
      people=$(output roombridge-registrations appPeople)
      [ -n "$people" ] || people=${ROOMBRIDGE_APP_PEOPLE:-}
      [ -n "$people" ] || people=$(parameter appPeople.value)
      ROOMBRIDGE_FEDERATED_PRINCIPAL_ID=$federated ROOMBRIDGE_PAGES_URL=$pages ROOMBRIDGE_APP_PEOPLE=$people \
        az deployment group create --resource-group "$group" --name roombridge-registrations --output none \
        --parameters "$here/entra/env/$environment.bicepparam" ||
        stop 'the registrations were not made' 'Authorization_RequestDenied: the role Application Developer in Entra, or --registrations given. "uniqueName already exists": one was deleted less than 30 days ago (docs/operators.md, "Tear-down"). Anything else: --registrations script'
      ;;
  esac
}

# still_deleted: a deleted registration keeps its unique name for 30 days, and another is refused. Whether it may act
# again is for a person to say. Who may not look there gets Azure's own message.
still_deleted() {
  local items=https://graph.microsoft.com/v1.0/directory/deletedItems old
  old=$(az rest --method get --url "$items/microsoft.graph.application?\$select=id,uniqueName&\$top=999" \
    --query "value[?starts_with(uniqueName || '', 'roombridge-$environment-')].[uniqueName, id]" --output tsv 2>/dev/null) || return 0
  [ -z "$old" ] || stop "registrations that were deleted keep their names:"$'\n'"$old" \
    "each by its id: az rest --method post --url $items/ID/restore to have it back, or --method delete --url $items/ID to be rid of it"
}

# take LINES: the ids that registrations.sh prints last.
# shellcheck disable=SC2034 # `ids` reads them by name
take() {
  ROOMBRIDGE_APP_ORGANISATION_WIDE=$(sed -n 's/^appOrganisationWide=//p' <<<"$1")
  ROOMBRIDGE_APP_SCOPED=$(sed -n 's/^appScoped=//p' <<<"$1")
  ROOMBRIDGE_APP_PEOPLE=$(sed -n 's/^appPeople=//p' <<<"$1")
  ROOMBRIDGE_APP_OPERATORS=$(sed -n 's/^appOperators=//p' <<<"$1")
}

# ids: the four client ids, from the environment, from the registrations' deployment, or as they were.
ids() {
  local name variable value
  for name in appOrganisationWide:ORGANISATION_WIDE appScoped:SCOPED appPeople:PEOPLE appOperators:OPERATORS; do
    variable=ROOMBRIDGE_APP_${name#*:}
    value=${!variable:-}
    [ -n "$value" ] || [ "$way" != bicep ] || value=$(output roombridge-registrations "${name%:*}")
    [ -n "$value" ] || value=$(parameter "${name%:*}.value")
    [ -n "$value" ] || $what_if || stop "the client id of the registration ${name%:*} is not known" \
      "infra/deploy.sh $environment $group --stage registrations (with --registrations script it prints the ids), or set $variable"
    export "$variable=$value"
  done
}

# invited: who may connect, from the environment, or as it was; unless the file says it itself.
invited() {
  grep -q "readEnvironmentVariable('ROOMBRIDGE_TENANTS'" "$here/env/$environment.bicepparam" || return 0
  [ -n "${ROOMBRIDGE_TENANTS:-}" ] || ROOMBRIDGE_TENANTS=$(parameter "tenants.value | join(',', @)")
  [ -n "$ROOMBRIDGE_TENANTS" ] || $what_if || stop 'nobody is invited: the app would not start' \
    'export ROOMBRIDGE_TENANTS=GUID,GUID,… (tenant ids), or write them into the file under infra/env'
  export ROOMBRIDGE_TENANTS
}

site() {
  local work pages name part id
  say 'site: the app, its settings, alerts'
  ids
  invited
  ROOMBRIDGE_WITH_SITE=true resources roombridge-site
  ! $what_if || return 0
  # The templates cannot say this: the types they are held against do not know it.
  apps
  for name in $work $pages; do
    id=$(az functionapp show --resource-group "$group" --name "$name" --query id --output tsv)
    for part in scm ftp; do
      az rest --method put --url "$id/basicPublishingCredentialsPolicies/$part?api-version=2025-03-01" \
        --body '{"properties": {"allow": false}}' --output none ||
        stop "passwords for deploying to $name ($part) could not be turned off" "infra/deploy.sh $environment $group --stage site"
    done
  done
}

# upload SITE ZIP: checks the zip against its sum, and sends it until it is taken.
upload() {
  local name=$1 zip=$2 try
  [ -f "$folder/$zip" ] || stop "there is no $folder/$zip" 'cargo pack'
  [ -f "$folder/$zip.sha256" ] || stop "there is no $folder/$zip.sha256" 'cargo pack writes it beside the zip; bring both'
  # The sum alone: a file of sums may name another file.
  (cd "$folder" && printf '%s  %s\n' "$(cut -c1-64 "$zip.sha256")" "$zip" | sha256sum --check --status) ||
    stop "$zip is not what $zip.sha256 says" 'bring both again from where they were built, or cargo pack'
  say "package: $zip ($(cut -c1-64 "$folder/$zip.sha256")) to $name"
  ! $what_if || return 0
  for try in 1 2 3 4 5 6 7 8 9 10; do
    if az functionapp deployment source config-zip --resource-group "$group" --name "$name" --src "$folder/$zip" --timeout 600 --output none; then
      return 0
    fi
    echo "try $try of 10 failed; a role that is a few minutes old is a common reason" >&2
    [ "$try" -eq 10 ] || sleep "${ROOMBRIDGE_RETRY_SECONDS:-30}"
  done
  stop "$name did not take the package" 'the last message above: 403 or BlobUploadFailed after ten minutes means a role is missing (infra/check.sh says which); 503 is the deployment site itself: docs/operators.md, "When the package is not taken"'
}

package() {
  local work pages
  apps
  if [ -z "$work" ]; then
    ! $what_if || { say 'package: there is no app yet' && return 0; }
    stop 'there is no app yet' "infra/deploy.sh $environment $group --stage site"
  fi
  if [ -n "$pages" ]; then
    upload "$work" roombridge-work.zip
    upload "$pages" roombridge-pages.zip
  else
    upload "$work" roombridge.zip
  fi
}

redirects() {
  local pages
  pages=$(pages_url)
  if [ -z "$pages" ]; then
    ! $what_if || { say 'redirects: the address of the pages is not known yet' && return 0; }
    stop 'the address of the pages is not known' "infra/deploy.sh $environment $group --stage site"
  fi
  say "redirects: below $pages"
  if [ "$way" = given ]; then
    printf '%s\n' "Ask the person who made the registrations to add (infra/check.sh tells whether they did):" \
      "  organisation-wide, scoped: $pages/consent/granted" \
      "  people: $pages/consent/signed-in and $pages/my-calendar/signed-in"
    return
  fi
  registrations
}

check() {
  local work pages more=()
  if $what_if; then
    say 'check: not run, nothing was changed'
    return
  fi
  apps
  [ -n "$work" ] || stop 'there is no app yet' "infra/deploy.sh $environment $group --stage site"
  say "check: infra/check.sh $group $work"
  [ -z "$pages" ] || more=(--pages-site "$pages")
  "$here/check.sh" "$group" "$work" ${more[@]+"${more[@]}"} ||
    stop 'something is not as it should be' 'each line above that begins with FAILED says what to do; then --stage check'
}

preflight
case $stage in
  all)
    foundation
    registrations
    site
    package
    redirects
    check
    ;;
  *) "$stage" ;;
esac
say 'done'
