//! Looking at tokens and taking them, one by one.
use super::ast::Local;
use super::lexer::{Lexeme, Token, Unreadable};
use super::parser::{Parser, Read};
use crate::problem::Place;

impl Parser {
    pub(super) fn new(tokens: Vec<Lexeme>, values_only: bool) -> Self {
        Self { tokens, next: 0, values_only }
    }

    pub(super) fn peek(&self) -> &Token {
        &self.tokens[self.next.min(self.tokens.len() - 1)].token
    }

    pub(super) fn peek_at(&self, ahead: usize) -> &Token {
        &self.tokens[(self.next + ahead).min(self.tokens.len() - 1)].token
    }

    pub(super) fn at(&self) -> Place {
        self.tokens[self.next.min(self.tokens.len() - 1)].at
    }

    pub(super) fn take(&mut self) -> Token {
        let token = self.peek().clone();
        self.next = (self.next + 1).min(self.tokens.len() - 1);
        token
    }

    pub(super) fn take_if(&mut self, sign: &str) -> bool {
        let found = self.is(sign);
        if found {
            self.take();
        }
        found
    }

    pub(super) fn is(&self, sign: &str) -> bool {
        matches!(self.peek(), Token::Sign(found) if *found == sign)
    }

    /// Whether that sign comes next, on this line or a later one; then the line ends before it are skipped.
    pub(super) fn is_after_newlines(&mut self, sign: &str) -> bool {
        let mut ahead = 0;
        while *self.peek_at(ahead) == Token::Newline {
            ahead += 1;
        }
        let found = matches!(self.peek_at(ahead), Token::Sign(it) if *it == sign);
        if found {
            self.next += ahead;
        }
        found
    }

    pub(super) fn is_name(&self, name: &str) -> bool {
        matches!(self.peek(), Token::Name(found) if found == name)
    }

    pub(super) fn take_if_name(&mut self, name: &str) -> bool {
        let found = self.is_name(name);
        if found {
            self.take();
        }
        found
    }

    pub(super) fn expect(&mut self, sign: &str) -> Read<()> {
        if self.take_if(sign) {
            Ok(())
        } else {
            Err(self.unexpected(&format!("Here must stand {sign}")))
        }
    }

    pub(super) fn name(&mut self, what: &str) -> Read<Local> {
        let at = self.at();
        match self.peek().clone() {
            Token::Name(name) => {
                self.take();
                Ok(Local { name, at })
            }
            _ => Err(self.unexpected(&format!("Here must stand {what}"))),
        }
    }

    pub(super) fn unexpected(&self, wanted: &str) -> Unreadable {
        let found = match self.peek() {
            Token::Name(name) => format!("\"{name}\""),
            Token::Number(number) => number.to_string(),
            Token::Text(_) => "a string".to_owned(),
            Token::Sign(sign) => (*sign).to_owned(),
            Token::Newline => "the end of the line".to_owned(),
            Token::End => "the end".to_owned(),
        };
        Unreadable { at: self.at(), message: format!("{wanted}, not {found}.") }
    }

    pub(super) fn skip_newlines(&mut self) {
        while *self.peek() == Token::Newline {
            self.take();
        }
    }
}
