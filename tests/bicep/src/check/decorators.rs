//! What stands above declarations.
use super::written::literal;
use super::{Checker, Scope};
use crate::problem::did_you_mean;
use crate::syntax::ast::*;
use crate::types::{Ty, fits};

/// A decorator: its name, above what it may stand, and the kinds of its argument
/// (s string, i int, a array, o object, none).
const KNOWN: [(&str, &[&str], &str); 14] = [
    ("allowed", &["param"], "a"),
    ("batchSize", &["resource", "module"], "i"),
    ("description", &["param", "var", "output", "resource", "module", "type"], "s"),
    ("discriminator", &["param", "output", "type"], "s"),
    ("export", &["var", "type"], ""),
    ("maxLength", &["param", "output", "type"], "i"),
    ("maxValue", &["param", "output", "type"], "i"),
    ("metadata", &["param", "output", "type"], "o"),
    ("minLength", &["param", "output", "type"], "i"),
    ("minValue", &["param", "output", "type"], "i"),
    ("nullIfNotFound", &["resource"], ""),
    ("onlyIfNotExists", &["resource"], ""),
    ("sealed", &["param", "output", "type"], ""),
    ("secure", &["param", "output", "type"], ""),
];

impl Checker<'_> {
    /// Checks what stands above a declaration; `ty` is that of a parameter or declared type.
    pub(super) fn decorators(&self, above: &str, decorators: &[Decorator], ty: Option<&Ty>) {
        let mut seen: Vec<&str> = Vec::new();
        for decorator in decorators {
            let name = decorator.name.as_str();
            let Some((_, places, kinds)) = KNOWN.iter().find(|(known, ..)| *known == name) else {
                let hint = did_you_mean(name, KNOWN.iter().map(|(known, ..)| *known));
                self.problem(
                    decorator.at,
                    "decorator",
                    format!("There is no decorator @{name}.{hint}"),
                );
                continue;
            };
            if !places.contains(&above) {
                self.problem(
                    decorator.at,
                    "decorator",
                    format!("@{name} does not stand above a {above}."),
                );
            }
            if seen.contains(&name) {
                self.problem(decorator.at, "decorator", format!("@{name} stands here twice."));
            }
            seen.push(name);
            self.decorator_arguments(decorator, kinds);
            if let Some(ty) = ty {
                self.decorator_for(decorator, ty);
            }
        }
    }

    fn decorator_arguments(&self, decorator: &Decorator, kinds: &str) {
        let name = &decorator.name;
        if decorator.arguments.len() != kinds.len() {
            let message = format!(
                "@{name}(…) takes {} arguments, not {}.",
                kinds.len(),
                decorator.arguments.len()
            );
            self.problem(decorator.at, "decorator", message);
            return;
        }
        let Some(argument) = decorator.arguments.first() else { return };
        let wanted = match kinds {
            "s" => Ty::text(),
            "i" => Ty::int(),
            "a" => Ty::list(Ty::Any),
            _ => Ty::open_object(),
        };
        if let Err(message) = fits(&self.infer(argument, &Scope::default()), &wanted, self.types) {
            self.problem(argument.at, "decorator", message);
        }
    }

    /// Whether the decorator says anything of values of that type.
    fn decorator_for(&self, decorator: &Decorator, ty: &Ty) {
        let fitting = match decorator.name.as_str() {
            "minValue" | "maxValue" => matches!(ty, Ty::Int(_) | Ty::Any),
            "minLength" | "maxLength" => {
                matches!(ty, Ty::Text(_) | Ty::Array(_) | Ty::Tuple(_) | Ty::Any | Ty::Union(_))
            }
            "secure" => self.is_text(ty) || matches!(ty, Ty::Object(_) | Ty::Any | Ty::Union(_)),
            "allowed" => {
                let items = decorator.arguments.first().map(|it| &it.kind);
                match items {
                    Some(Kind::Array(items)) => {
                        !items.is_empty() && items.iter().all(|it| literal(it) != Ty::Any)
                    }
                    _ => true,
                }
            }
            _ => true,
        };
        if !fitting {
            let message = format!("@{} does not go with this type.", decorator.name);
            self.problem(decorator.at, "decorator", message);
        }
    }
}
