//! Names and tags once all their parts are known. The compiler holds a name against its rules only where it is
//! written out.

use super::{Resource, Snapshot};

/// What a name may be: its shortest, its longest, and what else it must be.
struct Rule {
    kind: &'static str,
    shortest: usize,
    longest: usize,
    allows: fn(&str) -> bool,
}

/// As the compiler's own types say (Azure/bicep-types-az, the API versions of the templates).
const RULES: [Rule; 7] = [
    Rule {
        kind: "Microsoft.KeyVault/vaults",
        shortest: 3,
        longest: 24,
        allows: letters_digits_and_hyphens,
    },
    Rule {
        kind: "Microsoft.OperationalInsights/workspaces",
        shortest: 4,
        longest: 63,
        allows: |name| letters_digits_and_hyphens(name) && !has_hyphen_outside(name),
    },
    Rule {
        kind: "Microsoft.Insights/scheduledQueryRules",
        shortest: 1,
        longest: 260,
        allows: |name| {
            !name.contains(['#', '<', '>', '%', '&', ':', '\\', '?', '/', '{', '}', '*'])
        },
    },
    Rule {
        kind: "Microsoft.Storage/storageAccounts",
        shortest: 3,
        longest: 24,
        allows: |name| name.bytes().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit()),
    },
    Rule {
        kind: "Microsoft.Storage/storageAccounts/blobServices/containers",
        shortest: 3,
        longest: 63,
        allows: small_letters_digits_and_single_hyphens,
    },
    Rule {
        kind: "Microsoft.Storage/storageAccounts/queueServices/queues",
        shortest: 3,
        longest: 63,
        allows: small_letters_digits_and_single_hyphens,
    },
    Rule {
        kind: "Microsoft.Storage/storageAccounts/tableServices/tables",
        shortest: 3,
        longest: 63,
        allows: |name| {
            name.bytes().all(|c| c.is_ascii_alphanumeric())
                && name.starts_with(|c: char| c.is_ascii_alphabetic())
        },
    },
];

fn letters_digits_and_hyphens(name: &str) -> bool {
    name.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-')
}

fn has_hyphen_outside(name: &str) -> bool {
    name.starts_with('-') || name.ends_with('-')
}

fn small_letters_digits_and_single_hyphens(name: &str) -> bool {
    name.bytes().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-')
        && !has_hyphen_outside(name)
        && !name.contains("--")
}

/// What is not as promised.
pub(super) fn objections(snapshot: &Snapshot, environment: &str) -> Vec<String> {
    let mut said = Vec::new();
    for rule in &RULES {
        let named: Vec<&Resource> = snapshot.of_type(rule.kind).collect();
        if named.is_empty() {
            said.push(format!("{}: there is none", rule.kind));
        }
        for name in named.into_iter().map(Resource::own_name) {
            let length = name.chars().count();
            if !(rule.shortest..=rule.longest).contains(&length) {
                let Rule { shortest, longest, .. } = rule;
                said.push(format!("{name}: {length} characters, not {shortest} to {longest}"));
            } else if !(rule.allows)(name) {
                said.push(format!("{name}: no name for {}", rule.kind));
            }
        }
    }
    for resource in snapshot.resources.iter().filter(|resource| !resource.tags.is_empty()) {
        if resource.tags.get("environment").is_none_or(|tag| tag != environment) {
            said.push(format!(
                "{}: it is for another environment than its parameter file is called after",
                resource.name
            ));
        }
    }
    let conditions = snapshot.resources.iter().filter(|it| !it.condition.is_null());
    said.extend(conditions.map(|it| format!("{}: nobody knows whether it is deployed", it.name)));
    said
}
