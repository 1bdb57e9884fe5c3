//! The linter's rules about secrets: none leaves by an output, none comes in unmarked.
use super::written::is_secure;
use super::{Checker, Scope};
use crate::syntax::ast::*;
use crate::types::{Text, Ty};

impl Checker<'_> {
    pub(super) fn lint_secrets(&self) {
        let tree = &self.source.tree;
        for output in tree.outputs.iter().filter(|it| !is_secure(&it.decorators)) {
            if output.name.to_lowercase().contains("password") {
                self.problem(
                    output.at,
                    "outputs-should-not-contain-secrets",
                    "The output's name says it is a secret.",
                );
            }
            output.value.walk(&mut |it| {
                if self.is_secret(it) {
                    let message = "Outputs are kept in the deployment's history; a secret must not be among them.";
                    self.problem(it.at, "outputs-should-not-contain-secrets", message);
                }
                true
            });
        }
        for param in tree.params.iter().filter(|it| !is_secure(&it.decorators)) {
            let text = matches!(&param.ty.kind, TypeKind::Name(name) if name == "string" || name == "object");
            if text
                && sounds_secret(&param.name)
                && param.decorators.iter().all(|it| it.name != "allowed")
            {
                let message = format!(
                    "The parameter \"{}\" sounds like a secret; mark it @secure().",
                    param.name
                );
                self.problem(param.at, "secure-secrets-in-params", message);
            }
        }
    }

    fn is_secret(&self, expr: &Expr) -> bool {
        match &expr.kind {
            Kind::Call { name, .. } => name.starts_with("list"),
            Kind::Method { base, name, .. } => {
                name.starts_with("list") && self.model.referred(base, &[]).is_some()
            }
            Kind::Name(name) if self.source.tree.params.iter().any(|it| it.name == *name) => {
                matches!(
                    self.name(name, expr.at, &Scope::default()),
                    Ty::Text(Text { secure: true, .. })
                )
            }
            _ => false,
        }
    }
}

/// The words of the compiler's rule `secure-secrets-in-params` (Azure/bicep, 2026-08).
fn sounds_secret(name: &str) -> bool {
    let name = name.to_lowercase();
    let harmless = ["secretpermissions", "secretversion", "secreturi", "secreturl", "secretname"];
    let words = ["password", "pwd", "secret", "accountkey", "acctkey"];
    words.iter().any(|it| name.contains(it)) && !harmless.iter().any(|it| name.contains(it))
}
