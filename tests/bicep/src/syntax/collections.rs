//! From tokens to objects, arrays, loops and conditions.
use super::ast::*;
use super::lexer::{Token, Unreadable};
use super::parser::{Parser, Read};

impl Parser {
    /// Ends an item of an array or object: a line end or a comma, and never both.
    fn separator(&mut self, close: &str) -> Read<()> {
        if *self.peek() == Token::Newline {
            self.skip_newlines();
            if self.is(",") {
                return Err(self.stray_comma());
            }
            return Ok(());
        }
        if self.take_if(",") {
            if *self.peek() == Token::Newline {
                return Err(self.stray_comma());
            }
            return Ok(());
        }
        if self.is(close) {
            Ok(())
        } else {
            Err(self.unexpected(&format!("Here must stand a line end, a comma or {close}")))
        }
    }

    fn stray_comma(&self) -> Unreadable {
        let message =
            "Items end with a comma or with a line end, never with both: take the comma away."
                .to_owned();
        Unreadable { at: self.at(), message }
    }

    pub(super) fn object(&mut self) -> Read<Object> {
        self.expect("{")?;
        let mut object = Object::default();
        self.skip_newlines();
        while !self.is("}") {
            self.object_item(&mut object)?;
            self.separator("}")?;
        }
        self.expect("}")?;
        Ok(object)
    }

    fn object_item(&mut self, object: &mut Object) -> Read<()> {
        let at = self.at();
        let nested =
            self.is("@") || (self.is_name("resource") && matches!(self.peek_at(1), Token::Name(_)));
        if nested {
            let decorators = self.decorators()?;
            self.take();
            object.resources.push(self.resource(decorators)?);
            return Ok(());
        }
        if self.take_if("...") {
            let value = self.expression()?;
            let value = Expr { at, kind: Kind::Spread(Box::new(value)) };
            object.properties.push(Property { at, key: Vec::new(), value });
            return Ok(());
        }
        let key = match self.peek().clone() {
            Token::Name(name) => {
                self.take();
                vec![Piece::Literal(name)]
            }
            Token::Text(parts) => {
                self.take();
                self.pieces(parts)?
            }
            _ => return Err(self.unexpected("Here must stand the name of a property")),
        };
        self.expect(":")?;
        let value = self.expression()?;
        object.properties.push(Property { at, key, value });
        Ok(())
    }

    pub(super) fn array(&mut self) -> Read<Kind> {
        self.expect("[")?;
        let mut ahead = 0;
        while *self.peek_at(ahead) == Token::Newline {
            ahead += 1;
        }
        if matches!(self.peek_at(ahead), Token::Name(name) if name == "for") {
            self.skip_newlines();
            return self.for_loop();
        }
        let mut items = Vec::new();
        self.skip_newlines();
        while !self.is("]") {
            let at = self.at();
            let item = if self.take_if("...") {
                Expr { at, kind: Kind::Spread(Box::new(self.expression()?)) }
            } else {
                self.expression()?
            };
            items.push(item);
            self.separator("]")?;
        }
        self.expect("]")?;
        Ok(Kind::Array(items))
    }

    fn for_loop(&mut self) -> Read<Kind> {
        self.take();
        let (item, index) = if self.take_if("(") {
            let item = self.name("the name of the item")?;
            self.expect(",")?;
            let index = self.name("the name of the index")?;
            self.expect(")")?;
            (item, Some(index))
        } else {
            (self.name("the name of the item")?, None)
        };
        if !self.take_if_name("in") {
            return Err(self.unexpected("Here must stand \"in\""));
        }
        let over = self.expression()?;
        self.expect(":")?;
        self.skip_newlines();
        let body = self.condition_or_expression()?;
        self.skip_newlines();
        self.expect("]")?;
        Ok(Kind::For(Box::new(For { item, index, over, body })))
    }

    /// What stands behind the `=` of a resource or module.
    pub(super) fn declaration_body(&mut self) -> Read<Expr> {
        let mut ahead = 0;
        while *self.peek_at(ahead) == Token::Newline {
            ahead += 1;
        }
        if matches!(self.peek_at(ahead), Token::Name(name) if name == "if") {
            self.skip_newlines();
        }
        let body = self.condition_or_expression()?;
        let message = "A resource or module is an object, \"if (…) {…}\" or \"[for … in …: {…}]\"."
            .to_owned();
        if body.body().is_some() { Ok(body) } else { Err(Unreadable { at: body.at, message }) }
    }

    fn condition_or_expression(&mut self) -> Read<Expr> {
        let at = self.at();
        if !(self.is_name("if") && *self.peek_at(1) == Token::Sign("(")) {
            return self.expression();
        }
        self.take();
        self.expect("(")?;
        self.skip_newlines();
        let condition = Box::new(self.expression()?);
        self.skip_newlines();
        self.expect(")")?;
        let body_at = self.at();
        let body = Box::new(Expr { at: body_at, kind: Kind::Object(self.object()?) });
        Ok(Expr { at, kind: Kind::If { condition, body } })
    }
}
