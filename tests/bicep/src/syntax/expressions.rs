//! From tokens to expressions.
use super::ast::*;
use super::lexer::{Part, Token};
use super::parser::{Parser, Read};

/// Operators by how loosely they bind, the loosest first.
const LEVELS: [&[&str]; 7] = [
    &["??"],
    &["||"],
    &["&&"],
    &["==", "!=", "=~", "!~"],
    &[">=", "<=", ">", "<"],
    &["+", "-"],
    &["*", "/", "%"],
];

impl Parser {
    pub(super) fn expression(&mut self) -> Read<Expr> {
        let at = self.at();
        let condition = self.binary(0)?;
        if !self.is_after_newlines("?") {
            return Ok(condition);
        }
        self.take();
        let yes = self.expression()?;
        if !self.is_after_newlines(":") {
            return Err(
                self.unexpected("Behind \"condition ? value\" must stand \": other value\"")
            );
        }
        self.take();
        let no = self.expression()?;
        let kind =
            Kind::Ternary { condition: Box::new(condition), yes: Box::new(yes), no: Box::new(no) };
        Ok(Expr { at, kind })
    }

    fn binary(&mut self, level: usize) -> Read<Expr> {
        let Some(operators) = LEVELS.get(level) else { return self.unary() };
        let at = self.at();
        let mut left = self.binary(level + 1)?;
        while let Some(operator) = operators.iter().copied().find(|it| self.is(it)) {
            self.take();
            let right = self.binary(level + 1)?;
            left = Expr {
                at,
                kind: Kind::Binary { operator, left: Box::new(left), right: Box::new(right) },
            };
        }
        Ok(left)
    }

    fn unary(&mut self) -> Read<Expr> {
        let at = self.at();
        for operator in ["!", "-", "+"] {
            if self.take_if(operator) {
                return Ok(Expr {
                    at,
                    kind: Kind::Unary { operator, value: Box::new(self.unary()?) },
                });
            }
        }
        self.member()
    }

    fn member(&mut self) -> Read<Expr> {
        let at = self.at();
        let mut value = self.expression_primary()?;
        loop {
            let base = Box::new(value.clone());
            let kind = if self.take_if("!") {
                Kind::NotNull(base)
            } else if self.take_if("::") {
                Kind::Child { base, name: self.name("the name of a nested resource")?.name }
            } else if self.is(".") || self.is(".?") {
                self.dotted(base)?
            } else if let Some(open) = ["[", "[?", "[^", "[?^"].into_iter().find(|it| self.is(it)) {
                self.take();
                let index = Box::new(self.expression()?);
                self.expect("]")?;
                match open {
                    "[^" | "[?^" => {
                        Kind::Method { base, name: "[^]".to_owned(), arguments: vec![*index] }
                    }
                    _ => Kind::Index { base, index, safe: open == "[?" },
                }
            } else {
                return Ok(value);
            };
            value = Expr { at, kind };
        }
    }

    fn dotted(&mut self, base: Box<Expr>) -> Read<Kind> {
        let safe = self.take() == Token::Sign(".?");
        let Local { name, at: name_at } = self.name("the name of a property")?;
        if !self.is("(") {
            return Ok(Kind::Property { base, name, safe, name_at });
        }
        let arguments = self.arguments()?;
        Ok(match &base.kind {
            Kind::Name(namespace) if namespace == "az" || namespace == "sys" => {
                Kind::Call { namespace: Some(namespace.clone()), name, arguments }
            }
            _ => Kind::Method { base, name, arguments },
        })
    }

    fn arguments(&mut self) -> Read<Vec<Expr>> {
        self.expect("(")?;
        self.skip_newlines();
        let mut found = Vec::new();
        while !self.is(")") {
            found.push(self.expression()?);
            if self.is_after_newlines(",") {
                self.take();
                self.skip_newlines();
                if self.is(")") {
                    return Err(self.unexpected("Behind the comma must stand another argument"));
                }
            } else if !self.is_after_newlines(")") {
                return Err(self.unexpected("Here must stand a comma or )"));
            }
        }
        self.expect(")")?;
        Ok(found)
    }

    pub(super) fn expression_primary(&mut self) -> Read<Expr> {
        let at = self.at();
        let kind = match self.peek().clone() {
            Token::Number(number) => {
                self.take();
                Kind::Int(number)
            }
            Token::Text(parts) => {
                self.take();
                Kind::Text(self.pieces(parts)?)
            }
            Token::Name(name) => return self.named(&name),
            Token::Sign("(") if self.is_lambda() => self.lambda_with_block()?,
            Token::Sign("(") => {
                self.take();
                self.skip_newlines();
                let inner = self.expression()?;
                self.skip_newlines();
                self.expect(")")?;
                inner.kind
            }
            Token::Sign("{") => Kind::Object(self.object()?),
            Token::Sign("[") => self.array()?,
            // An array whose first item begins with one of these signs.
            _ => return Err(self.unexpected("Here must stand a value")),
        };
        Ok(Expr { at, kind })
    }

    fn named(&mut self, name: &str) -> Read<Expr> {
        let at = self.at();
        self.take();
        let kind = match name {
            "true" | "false" => Kind::Bool(name == "true"),
            "null" => Kind::Null,
            _ if self.is("(") => {
                Kind::Call { namespace: None, name: name.to_owned(), arguments: self.arguments()? }
            }
            _ if self.take_if("=>") => {
                let parameters = vec![Local { name: name.to_owned(), at }];
                self.skip_newlines();
                Kind::Lambda { parameters, body: Box::new(self.expression()?) }
            }
            _ => Kind::Name(name.to_owned()),
        };
        Ok(Expr { at, kind })
    }

    /// Whether the bracket that comes next opens the variables of a lambda.
    fn is_lambda(&self) -> bool {
        let mut ahead = 1;
        while matches!(self.peek_at(ahead), Token::Name(_) | Token::Newline | Token::Sign(",")) {
            ahead += 1;
        }
        *self.peek_at(ahead) == Token::Sign(")") && *self.peek_at(ahead + 1) == Token::Sign("=>")
    }

    fn lambda_with_block(&mut self) -> Read<Kind> {
        self.expect("(")?;
        self.skip_newlines();
        let mut parameters = Vec::new();
        while !self.take_if(")") {
            parameters.push(self.name("a name")?);
            self.skip_newlines();
            self.take_if(",");
            self.skip_newlines();
        }
        self.expect("=>")?;
        self.skip_newlines();
        Ok(Kind::Lambda { parameters, body: Box::new(self.expression()?) })
    }

    pub(super) fn pieces(&mut self, parts: Vec<Part>) -> Read<Vec<Piece>> {
        parts
            .into_iter()
            .map(|part| match part {
                Part::Literal(text) => Ok(Piece::Literal(text)),
                Part::Code(tokens) => {
                    let mut inner = Parser::new(tokens, false);
                    let value = inner.expression()?;
                    match inner.peek() {
                        Token::End => Ok(Piece::Value(value)),
                        _ => Err(inner.unexpected("Here must stand }")),
                    }
                }
            })
            .collect()
    }
}
