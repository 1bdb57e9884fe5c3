//! From tokens to written types.
use super::ast::*;
use super::lexer::Token;
use super::parser::{Parser, Read};

impl Parser {
    pub(super) fn type_expression(&mut self) -> Read<TypeExpr> {
        let at = self.at();
        self.union_bar();
        let mut members = vec![self.singular_type()?];
        while self.union_bar() {
            members.push(self.singular_type()?);
        }
        if members.len() > 1 {
            return Ok(TypeExpr { at, kind: TypeKind::Union(members) });
        }
        members.pop().ok_or_else(|| self.unexpected("Here must stand a type"))
    }

    /// A bar between the members of a union, which may stand on a line of its own.
    fn union_bar(&mut self) -> bool {
        let found = self.is_after_newlines("|");
        if found {
            self.take();
            self.skip_newlines();
        }
        found
    }

    fn singular_type(&mut self) -> Read<TypeExpr> {
        let at = self.at();
        let mut found = self.primary_type()?;
        loop {
            let kind = if self.is("[") && *self.peek_at(1) == Token::Sign("]") {
                self.take();
                self.take();
                TypeKind::Array(Box::new(found))
            } else if self.take_if("?") {
                TypeKind::Nullable(Box::new(found))
            } else if self.is(".") || self.is("[") {
                self.take();
                self.take();
                self.take_if("]");
                TypeKind::Unknown
            } else {
                return Ok(found);
            };
            found = TypeExpr { at, kind };
        }
    }

    fn primary_type(&mut self) -> Read<TypeExpr> {
        let at = self.at();
        let kind = match self.peek().clone() {
            Token::Name(name) => self.named_type(name)?,
            Token::Number(_) | Token::Text(_) => TypeKind::Literal(self.expression_primary()?),
            Token::Sign("-") => {
                self.take();
                let value = Box::new(self.expression_primary()?);
                TypeKind::Literal(Expr { at, kind: Kind::Unary { operator: "-", value } })
            }
            Token::Sign("(") => {
                self.take();
                self.skip_newlines();
                let inner = self.type_expression()?;
                self.skip_newlines();
                self.expect(")")?;
                inner.kind
            }
            Token::Sign("{") => self.object_type()?,
            Token::Sign("[") => self.tuple_type()?,
            _ => {
                return Err(
                    self.unexpected("Here must stand a type (string, int, bool, array, object, …)")
                );
            }
        };
        Ok(TypeExpr { at, kind })
    }

    fn named_type(&mut self, name: String) -> Read<TypeKind> {
        let at = self.at();
        self.take();
        Ok(match name.as_str() {
            "true" | "false" => TypeKind::Literal(Expr { at, kind: Kind::Bool(name == "true") }),
            "null" => TypeKind::Literal(Expr { at, kind: Kind::Null }),
            "resourceInput" | "resourceOutput" if self.take_if("<") => {
                self.plain_string()?;
                self.expect(">")?;
                TypeKind::Unknown
            }
            "resource" if matches!(self.peek(), Token::Text(_)) => {
                self.plain_string()?;
                TypeKind::Unknown
            }
            "sys" if self.take_if(".") => {
                let inner = self.name("a type")?.name;
                self.next -= 1;
                self.named_type(inner)?
            }
            _ => TypeKind::Name(name),
        })
    }

    fn object_type(&mut self) -> Read<TypeKind> {
        self.expect("{")?;
        self.skip_newlines();
        let (mut properties, mut additional) = (Vec::new(), None);
        while !self.take_if("}") {
            let decorators = self.decorators()?;
            if self.take_if("*") {
                self.expect(":")?;
                additional = Some(Box::new(self.type_expression()?));
            } else {
                let name = match self.peek() {
                    Token::Text(_) => self.plain_string()?,
                    _ => self.name("the name of a property")?.name,
                };
                self.expect(":")?;
                properties.push(TypedProperty { name, ty: self.type_expression()?, decorators });
            }
            self.take_if(",");
            self.skip_newlines();
        }
        Ok(TypeKind::Object { properties, additional })
    }

    fn tuple_type(&mut self) -> Read<TypeKind> {
        self.expect("[")?;
        self.skip_newlines();
        let mut items = Vec::new();
        while !self.take_if("]") {
            self.decorators()?;
            items.push(self.type_expression()?);
            self.take_if(",");
            self.skip_newlines();
        }
        Ok(TypeKind::Tuple(items))
    }
}
