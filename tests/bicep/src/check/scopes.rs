//! Where things are deployed to, and what can be asked of those places.
use super::{Checker, Scope};
use crate::project::Source;
use crate::syntax::ast::*;
use crate::types::{Ty, fits};

pub(super) const TENANT: u64 = 1;
pub(super) const MANAGEMENT_GROUP: u64 = 2;
pub(super) const SUBSCRIPTION: u64 = 4;
pub(super) const RESOURCE_GROUP: u64 = 8;
pub(super) const RESOURCE: u64 = 16;

/// The bit of a scope's name.
pub(super) fn bit(name: &str) -> Option<u64> {
    match name {
        "tenant" => Some(TENANT),
        "managementGroup" => Some(MANAGEMENT_GROUP),
        "subscription" => Some(SUBSCRIPTION),
        "resourceGroup" => Some(RESOURCE_GROUP),
        _ => None,
    }
}

/// The name of a scope's bit, for sentences.
pub(super) fn word(bits: u64) -> String {
    let names = [
        (RESOURCE_GROUP, "a resource group"),
        (SUBSCRIPTION, "a subscription"),
        (MANAGEMENT_GROUP, "a management group"),
        (TENANT, "a tenant"),
        (RESOURCE, "another resource"),
    ];
    let found: Vec<&str> =
        names.iter().filter(|(bit, _)| bits & bit != 0).map(|(_, name)| *name).collect();
    found.join(" or ")
}

/// The scope that a file is for.
pub(super) fn of_file(source: &Source) -> u64 {
    let written = source.tree.target_scope.as_ref().and_then(Expr::plain_text);
    written.and_then(bit).unwrap_or(RESOURCE_GROUP)
}

impl Checker<'_> {
    /// The scope that an expression means: its bit, and whether it is another place than the file's own.
    pub(super) fn scope_of(&self, value: &Expr, scope: &Scope) -> Option<(u64, bool)> {
        match &value.kind {
            Kind::Call { name, arguments, .. } => Some((bit(name)?, !arguments.is_empty())),
            _ => match self.look(&self.infer(value, scope)) {
                Ty::Resource(it)
                    if it.kind.eq_ignore_ascii_case("Microsoft.Resources/resourceGroups") =>
                {
                    Some((RESOURCE_GROUP, true))
                }
                Ty::Resource(_) => Some((RESOURCE, false)),
                _ => None,
            },
        }
    }

    /// Functions that exist only in some places.
    pub(super) fn allowed_here(&self, expr: &Expr, name: &str, arguments: &[Expr], scope: &Scope) {
        let own = of_file(self.source);
        let why = match name {
            "utcNow" | "newGuid" if !scope.of_default => {
                "stands only in the default of a parameter"
            }
            "readEnvironmentVariable" if !self.source.is_parameters() => {
                "stands only in a parameter file"
            }
            "environment" | "resourceGroup" | "subscription" | "reference"
                if self.source.is_parameters() =>
            {
                "does not stand in a parameter file"
            }
            "resourceGroup" if arguments.is_empty() && own != RESOURCE_GROUP => {
                "without arguments stands only in a template for a resource group"
            }
            "subscription"
                if arguments.is_empty() && own & (RESOURCE_GROUP | SUBSCRIPTION) == 0 =>
            {
                "without arguments stands only in a template for a resource group or subscription"
            }
            "reference" if scope.of_default => {
                "is known only while the deployment runs, so not in a default"
            }
            _ => return,
        };
        self.problem(expr.at, "function-place", format!("{name}(…) {why}."));
    }

    /// `targetScope` itself.
    pub(super) fn target_scope(&self) {
        let Some(written) = &self.source.tree.target_scope else { return };
        let all = ["resourceGroup", "subscription", "managementGroup", "tenant"];
        let wanted = Ty::any_of(all.map(Ty::literal));
        if let Err(message) = fits(&self.infer(written, &Scope::default()), &wanted, self.types) {
            self.problem(written.at, "type", message);
        }
    }
}

fn texts<const N: usize>(names: [&str; N]) -> Vec<(String, Ty)> {
    names.map(|it| (it.to_owned(), Ty::text())).to_vec()
}

/// What a function that stands for a place offers.
pub(super) fn of_function(name: &str) -> Ty {
    let inner = |fields: Vec<(String, Ty)>| Ty::exact(fields);
    match name {
        "resourceGroup" => {
            let mut fields = texts(["id", "name", "type", "location", "managedBy"]);
            fields.push(("tags".to_owned(), Ty::open_object()));
            fields.push(("properties".to_owned(), inner(texts(["provisioningState"]))));
            Ty::exact(fields)
        }
        "subscription" => Ty::exact(texts(["id", "subscriptionId", "tenantId", "displayName"])),
        "tenant" => Ty::exact(texts(["tenantId", "country", "countryCode", "displayName"])),
        "deployment" => {
            let mut fields = texts(["name", "location"]);
            fields.push(("properties".to_owned(), Ty::open_object()));
            Ty::exact(fields)
        }
        _ => Ty::Any,
    }
}

/// What `environment()` offers (Azure/bicep AzNamespaceType.GetEnvironmentReturnType, 2026-08).
pub(super) fn environment() -> Ty {
    let mut fields = texts([
        "activeDirectoryDataLake",
        "batch",
        "gallery",
        "graph",
        "graphAudience",
        "media",
        "name",
        "portal",
        "resourceManager",
        "sqlManagement",
        "vmImageAliasDoc",
    ]);
    let mut authentication = texts(["loginEndpoint", "tenant", "identityProvider"]);
    authentication.push(("audiences".to_owned(), Ty::list(Ty::text())));
    fields.push(("authentication".to_owned(), Ty::exact(authentication)));
    let suffixes = texts([
        "acrLoginServer",
        "azureDatalakeAnalyticsCatalogAndJob",
        "azureDatalakeStoreFileSystem",
        "azureFrontDoorEndpointSuffix",
        "keyvaultDns",
        "sqlServerHostname",
        "storage",
    ]);
    fields.push(("suffixes".to_owned(), Ty::exact(suffixes)));
    Ty::exact(fields)
}
