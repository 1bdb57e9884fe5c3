#!/usr/bin/env bash
# Makes the app registrations with the Azure CLI: the same as registrations.bicep, for teams whose
# pipeline has no rights in Entra, and for clouds that Microsoft Graph Bicep does not know. Its
# user is signed in (az login) to the tenant of the identity, and has the role Application
# Developer there, or owns the registrations.
#
# It can be run again: what is there is changed, nothing is made twice, and nothing is deleted. It
# never makes a password or a key credential, and ends with an error where it finds one.
#
#   infra/entra/registrations.sh --environment dev --federated-principal-id GUID [--pages-url URL]
#
#   --environment NAME             dev, test or prod
#   --federated-principal-id GUID  principal (object) id of the federated identity: output
#                                  federatedIdentityPrincipalId of main.bicep, not its client id
#   --pages-url URL                where browsers reach the pages: output pagesUrl of main.bicep.
#                                  Leave it out the first time; without it redirect addresses are
#                                  taken away
#   --workload NAME                first part of every unique name [roombridge]
#   --exchange-audience TEXT       what the identity's token is for [that of the signed-in cloud]
#   --add-in-client GUID           client id of an Outlook add-in; may be given more than once
#   --user-permission NAME         what the daemons read people with: User.ReadBasic.All, or
#                                  User.Read.All for organisations that Microsoft refuses the
#                                  narrow one [User.ReadBasic.All]; main.bicep has the same
#   --owner GUID                   object id of an owner to add; may be given more than once
#   --privacy-url, --terms-url, --support-url URL
#                                  links that are shown where people consent
#   --dry-run                      prints every command that changes something, and runs nothing
#
# The last lines of output are parameters of main.bicep: appOrganisationWide=… and so on.
set -euo pipefail
cd "$(dirname "$0")"

# Ids of our own making, the same as in registrations.bicep. They must never change: consents and
# assignments name them.
my_calendar_scope=0d4b6c48-5d18-40c7-b2a0-76a7b5298645
operator_role=9e002617-fe47-45bf-a1b1-8aaea64370e1
auditor_role=de20ad8a-a12a-4264-9ff4-f1920904c882

notes='Made from infra/entra. No password and no key credential belongs here: the federated credential is the only one.'
credential=federated-identity
workload=roombridge environment='' principal='' pages='' audience=''
privacy='' terms='' support='' dry=false wide=''
add_ins=() owners=()

say() { printf '%s\n' "$*" >&2; }
die() {
  say "registrations.sh: $*"
  exit 1
}

guid() { # VALUE OPTION
  [[ $1 =~ ^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$ ]] || die "$2 takes a GUID, not '$1'"
}
address() { # VALUE OPTION
  [[ $1 =~ ^https://[A-Za-z0-9.:-]+(/[A-Za-z0-9._~-]+)*$ ]] ||
    die "$2 takes an https address without a slash at its end, not '$1'"
}

# usage: the head of this file.
usage() { sed -n 's/^# \{0,1\}//; 2,/^set /{ /^set /d; p; }' registrations.sh >&2; }
[ $# -gt 0 ] || { usage && exit 2; }
case $1 in -h | --help) usage && exit 2 ;; esac

while [ $# -gt 0 ]; do
  option=$1
  shift
  if [ "$option" = --dry-run ]; then
    dry=true
    continue
  fi
  [ $# -gt 0 ] || die "$option is not known, or has no value"
  value=$1
  shift
  case $option in
    --environment) environment=$value ;;
    --federated-principal-id) guid "$value" "$option" && principal=$value ;;
    --pages-url) address "$value" "$option" && pages=$value ;;
    --workload) workload=$value ;;
    --exchange-audience) audience=$value ;;
    --add-in-client) guid "$value" "$option" && add_ins+=("$value") ;;
    --user-permission)
      case $value in
        User.ReadBasic.All) wide='' ;;
        User.Read.All) wide=-user-read-all ;;
        *) die "$option takes User.ReadBasic.All or User.Read.All, not '$value'" ;;
      esac
      ;;
    --owner) guid "$value" "$option" && owners+=("$value") ;;
    --privacy-url) address "$value" "$option" && privacy=$value ;;
    --terms-url) address "$value" "$option" && terms=$value ;;
    --support-url) address "$value" "$option" && support=$value ;;
    *) die "$option is not known" ;;
  esac
done
case $environment in
  prod) product=Roombridge ;;
  dev | test) product="Roombridge $environment" ;;
  *) die '--environment takes dev, test or prod' ;;
esac
[ -n "$principal" ] || die '--federated-principal-id is needed'
[[ $workload =~ ^[a-z][a-z0-9-]{2,19}$ ]] || die '--workload takes 3 to 20 small letters, digits and hyphens'

# change COMMAND...: runs what changes something, or prints it.
change() {
  if ! $dry; then
    "$@"
    return
  fi
  local word line=''
  for word in "$@"; do
    if [[ $word =~ ^[A-Za-z0-9_./:=@-]+$ ]]; then
      line+=" $word"
    else
      line+=" '${word//\'/\'\\\'\'}'"
    fi
  done
  printf '%s\n' "${line# }"
}

# settled COMMAND...: Entra shows what was made a moment ago not everywhere at once.
settled() {
  local tries=0
  until change "$@"; do
    tries=$((tries + 1))
    [ $tries -lt 10 ] || die "gave up after $tries tries: $1 $2 $3"
    sleep 6
  done
}

if $dry; then
  cloud=AzureCloud graph=https://graph.microsoft.com login=https://login.microsoftonline.com tenant='<tenant id>'
else
  cloud=$(az cloud show --query name --output tsv)
  graph=$(az cloud show --query endpoints.microsoftGraphResourceId --output tsv)
  login=$(az cloud show --query endpoints.activeDirectory --output tsv)
  tenant=$(az account show --query tenantId --output tsv)
fi
graph=${graph%/} login=${login%/}
issuer="$login/$tenant/v2.0"
if [ -z "$audience" ]; then
  # learn.microsoft.com/entra/workload-id/workload-identity-federation-config-app-trust-managed-identity
  case $cloud in
    AzureCloud) audience=api://AzureADTokenExchange ;;
    AzureUSGovernment) audience=api://AzureADTokenExchangeUSGov ;;
    AzureChinaCloud) audience=api://AzureADTokenExchangeChina ;;
    *) die "--exchange-audience is needed in the cloud $cloud" ;;
  esac
fi

text_or_null() { if [ -n "$1" ]; then printf '"%s"' "$1"; else printf null; fi; }

# list TEMPLATE VALUE...: a JSON array of TEMPLATE, with each VALUE in the place of @.
list() {
  local template=$1 value line='' comma=''
  shift
  for value in "$@"; do
    line+=$comma${template//@/$value}
    comma=,
  done
  printf '[%s]' "$line"
}

# still_deleted UNIQUE: ends where a deleted registration keeps that name, as it does for 30 days: one that is made
# would never get it. Whether the old one may act again is for a person to say. Not everybody may look.
still_deleted() {
  local items="$graph/v1.0/directory/deletedItems" old
  old=$(az rest --method GET --url "$items/microsoft.graph.application?\$select=id,uniqueName&\$top=999" \
    --query "value[?uniqueName=='$1'].id | [0]" --output tsv 2>/dev/null) || return 0
  [ -z "$old" ] || die "$1 was deleted and keeps its name. To have it back: az rest --method POST --url $items/$old/restore; to be rid of it: az rest --method DELETE --url $items/$old"
}

# find UNIQUE DISPLAY: sets object_id and app_id, empty where there is no such registration.
find_registration() {
  local found same
  object_id='' app_id=''
  if $dry; then return; fi
  same=$(az ad app list --filter "displayName eq '$2'" --query "[].join(' ',[id,appId])" --output tsv)
  if [ "$cloud" != AzureCloud ]; then
    # Unique names are documented for the public cloud (learn.microsoft.com/graph/api/application-upsert).
    [ "$(grep -c . <<<"$same")" -le 1 ] || die "there are several registrations called '$2'"
    found=$same
  elif ! found=$(az rest --method GET --url "$graph/v1.0/applications(uniqueName='$1')?\$select=id,appId" \
    --query "join(' ',[id,appId])" --output tsv 2>&1); then
    [[ $found == *ResourceNotFound* ]] || die "cannot look for $1: $found"
    [ -z "$same" ] || die "'$2' is there without the unique name '$1'. If it is ours: az rest --method PATCH --url $graph/v1.0/applications/${same%% *} --body '{\"uniqueName\":\"$1\"}'"
    found=''
    still_deleted "$1"
  fi
  read -r object_id app_id <<<"$found" || true
}

# patch BODY: gives the registration object_id these properties.
patch() {
  settled az rest --method PATCH --url "$graph/v1.0/applications/$object_id" \
    --headers Content-Type=application/json --body "$1" --output none
}

# make NAME DISPLAY AUDIENCE REDIRECTS PERMISSIONS OWN: makes or changes the registration NAME.
# REDIRECTS, PERMISSIONS and OWN (members that it alone has; @app_id@ is its client id) are JSON.
make() {
  # A unique name is given once; it can never be changed.
  local unique="$workload-$environment-$1" key=''
  [ "$cloud" != AzureCloud ] || key="\"uniqueName\": \"$unique\", "
  say "== $unique"
  find_registration "$unique" "$2"
  if $dry; then
    change az ad app create --display-name "$2" --sign-in-audience "$3"
    object_id="<object id of $unique>" app_id="<client id of $unique>"
  elif [ -z "$object_id" ]; then
    read -r object_id app_id < <(az ad app create --display-name "$2" --sign-in-audience "$3" \
      --query "join(' ',[id,appId])" --output tsv) || true
    [ -n "$app_id" ] || die "$unique was not made"
  else
    key=''
  fi
  patch "{$key\"displayName\": \"$2\", \"notes\": \"$notes\", \"signInAudience\": \"$3\",
  \"info\": {\"privacyStatementUrl\": $(text_or_null "$privacy"), \"supportUrl\": $(text_or_null "$support"), \"termsOfServiceUrl\": $(text_or_null "$terms")},
  \"isFallbackPublicClient\": false, \"requiredResourceAccess\": $5,
  \"web\": {\"redirectUris\": $4, \"implicitGrantSettings\": {\"enableAccessTokenIssuance\": false, \"enableIdTokenIssuance\": false}},
  \"servicePrincipalLockConfiguration\": {\"isEnabled\": true, \"allProperties\": true}, ${6//@app_id@/$app_id}}"
  local owner
  for owner in ${owners[@]+"${owners[@]}"}; do
    change az ad app owner add --id "$object_id" --owner-object-id "$owner"
  done
}

# trust: the registration trusts the federated identity.
trust() {
  local parameters verb=create known=''
  parameters="{\"name\": \"$credential\", \"issuer\": \"$issuer\", \"subject\": \"$principal\", \"audiences\": [\"$audience\"]}"
  $dry || known=$(az ad app federated-credential list --id "$object_id" --query '[].name' --output tsv)
  if [ "$known" = "$credential" ]; then
    verb=update
  elif [ -n "$known" ]; then
    die "$app_id trusts something else: $known. Look who made it, and delete it: az ad app federated-credential delete"
  fi
  if [ $verb = update ]; then
    change az ad app federated-credential update --id "$object_id" \
      --federated-credential-id "$credential" --parameters "$parameters" --output none
  else
    settled az ad app federated-credential create --id "$object_id" --parameters "$parameters" --output none
  fi
}

# enter ASSIGNMENT_REQUIRED: the registration's service principal in its own tenant.
enter() {
  if $dry || [ -z "$(az ad sp list --filter "appId eq '$app_id'" --query '[].id' --output tsv)" ]; then
    settled az ad sp create --id "$app_id" --output none
  fi
  settled az rest --method PATCH --url "$graph/v1.0/servicePrincipals(appId='$app_id')" \
    --headers Content-Type=application/json \
    --body "{\"accountEnabled\": true, \"appRoleAssignmentRequired\": $1}" --output none
}

# prove TRUSTED: it holds no password, no key, and as many federated credentials as it should.
prove() {
  if $dry; then return; fi
  local none="join(' ',[to_string(length(passwordCredentials)),to_string(length(keyCredentials))])" held
  held=$(az ad app show --id "$object_id" --query "$none" --output tsv)
  [ "$held" = '0 0' ] || die "$app_id holds passwords and keys: $held. Nothing of ours makes any: look who did, and delete them."
  held=$(az ad sp show --id "$app_id" --query "$none" --output tsv)
  [ "$held" = '0 0' ] || die "the service principal of $app_id holds passwords and keys: $held"
  held=$(az ad app federated-credential list --id "$object_id" --query 'length(@)' --output tsv)
  [ "$held" = "$1" ] || die "$app_id has $held federated credentials, not $1"
}

many=AzureADMultipleOrgs version='"api": {"requestedAccessTokenVersion": 2}' granted='[]' signed_in='[]'
if [ -n "$pages" ]; then
  granted="[\"$pages/consent/granted\"]"
  signed_in="[\"$pages/consent/signed-in\", \"$pages/my-calendar/signed-in\"]"
fi

make organisation-wide "$product (whole organisation)" $many "$granted" \
  "$(cat "permissions/organisation-wide$wide.json")" "$version"
trust
enter false
prove 1
organisation_wide=$app_id

make scoped "$product (chosen calendars)" $many "$granted" "$(cat "permissions/scoped$wide.json")" "$version"
trust
enter false
prove 1
scoped=$app_id

# api PRE_AUTHORISED: the API that people's registration exposes.
api() {
  cat <<JSON
"api": {"requestedAccessTokenVersion": 2, "preAuthorizedApplications": $1, "oauth2PermissionScopes": [{
    "id": "$my_calendar_scope", "value": "my-calendar", "type": "User", "isEnabled": true,
    "adminConsentDisplayName": "Agree, look and withdraw on people's behalf",
    "adminConsentDescription": "Lets an app show signed-in people what Roombridge stores about them, and agree or withdraw for them. It opens no calendar.",
    "userConsentDisplayName": "Agree, look and withdraw on your behalf",
    "userConsentDescription": "Lets the app show you what Roombridge stores about you, and agree or withdraw for you. It opens no calendar."}]}
JSON
}
make people "$product" $many "$signed_in" "$(cat permissions/people.json)" \
  "\"groupMembershipClaims\": \"DirectoryRole\", \"identifierUris\": [\"api://@app_id@\"],
  \"optionalClaims\": {\"accessToken\": [{\"name\": \"idtyp\", \"essential\": false}]}, $(api '[]')"
# Entra takes a pre-authorised client only once the scope is there.
[ ${#add_ins[@]} -eq 0 ] || patch "{$(api "$(list \
  "{\"appId\": \"@\", \"delegatedPermissionIds\": [\"$my_calendar_scope\"]}" "${add_ins[@]}")")}"
trust
enter false
prove 1
people=$app_id

make operators "$product operators" AzureADMyOrg '[]' '[]' "$version, \"appRoles\": [{
    \"id\": \"$operator_role\", \"value\": \"Operator\", \"displayName\": \"Operator\", \"isEnabled\": true,
    \"description\": \"Sees what failed, and has it done again. Never sees a subject or a name.\", \"allowedMemberTypes\": [\"User\"]}, {
    \"id\": \"$auditor_role\", \"value\": \"Auditor\", \"displayName\": \"Auditor\", \"isEnabled\": true,
    \"description\": \"Sees what was asked of Microsoft Graph and who decided what. Changes nothing.\", \"allowedMemberTypes\": [\"User\"]}]"
enter true
prove 0

printf 'appOrganisationWide=%s\nappScoped=%s\nappPeople=%s\nappOperators=%s\n' \
  "$organisation_wide" "$scoped" "$people" "$app_id"
