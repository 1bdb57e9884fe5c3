//! Operators on values.
use super::frame::{Found, Frame, Locals};
use crate::problem::Place;
use crate::syntax::ast::Expr;
use serde_json::Value;

impl Frame<'_> {
    pub(super) fn unary(
        &self,
        at: Place,
        operator: &str,
        value: &Expr,
        locals: &Locals,
    ) -> Found<Value> {
        match (operator, self.value(value, locals)?) {
            ("!", Value::Bool(it)) => Ok(Value::Bool(!it)),
            ("-", it) if it.is_i64() => Ok(Value::from(-it.as_i64().unwrap_or_default())),
            ("+", it) => Ok(it),
            _ => self.cannot(at, format!("{operator} cannot be worked out here.")),
        }
    }

    pub(super) fn binary(
        &self,
        at: Place,
        operator: &str,
        left: &Expr,
        right: &Expr,
        locals: &Locals,
    ) -> Found<Value> {
        match operator {
            "&&" => {
                return Ok(Value::Bool(self.holds(left, locals)? && self.holds(right, locals)?));
            }
            "||" => {
                return Ok(Value::Bool(self.holds(left, locals)? || self.holds(right, locals)?));
            }
            "??" => {
                let first = self.value(left, locals)?;
                return if first.is_null() { self.value(right, locals) } else { Ok(first) };
            }
            _ => {}
        }
        let (a, b) = (self.value(left, locals)?, self.value(right, locals)?);
        let same_letters =
            || a.as_str().map(str::to_lowercase) == b.as_str().map(str::to_lowercase);
        Ok(match operator {
            "==" => Value::Bool(a == b),
            "!=" => Value::Bool(a != b),
            "=~" => Value::Bool(same_letters()),
            "!~" => Value::Bool(!same_letters()),
            _ => match (a.as_i64(), b.as_i64()) {
                (Some(a), Some(b)) => return self.arithmetic(at, operator, a, b),
                _ => match (a.as_str(), b.as_str()) {
                    (Some(a), Some(b)) => Value::Bool(compared(operator, &a, &b)),
                    _ => {
                        return self
                            .cannot(at, format!("{operator} needs two numbers or two strings."));
                    }
                },
            },
        })
    }

    fn arithmetic(&self, at: Place, operator: &str, a: i64, b: i64) -> Found<Value> {
        let result = match operator {
            "+" => a.checked_add(b),
            "-" => a.checked_sub(b),
            "*" => a.checked_mul(b),
            "/" => a.checked_div(b),
            "%" => a.checked_rem(b),
            _ => return Ok(Value::Bool(compared(operator, &a, &b))),
        };
        result.map_or_else(
            || self.cannot(at, format!("{a} {operator} {b} has no result.")),
            |it| Ok(Value::from(it)),
        )
    }
}

fn compared<T: Ord>(operator: &str, a: &T, b: &T) -> bool {
    match operator {
        "<" => a < b,
        "<=" => a <= b,
        ">" => a > b,
        _ => a >= b,
    }
}
