//! From text to tokens: names, numbers, strings with what is interpolated into them, signs, ends of lines.
//! Written from the language's published grammar (Azure/bicep, docs/grammar.md, 2026-08).
use crate::problem::Place;

/// What a token is.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Token {
    Name(String),
    Number(i64),
    Text(Vec<Part>),
    Sign(&'static str),
    Newline,
    End,
}

/// A part of a string.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Part {
    Literal(String),
    Code(Vec<Lexeme>),
}

/// A token and where it begins.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Lexeme {
    pub(crate) at: Place,
    pub(crate) token: Token,
}

/// What could not be read, and where.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Unreadable {
    pub(crate) at: Place,
    pub(crate) message: String,
}

/// The longest first, so that `=` does not hide `==`.
const SIGNS: [&str; 40] = [
    "...", "[?^", "=>", "==", "!=", "=~", "!~", ">=", "<=", "&&", "||", "??", ".?", "::", "[?",
    "[^", "{", "}", "(", ")", "[", "]", ",", ".", ":", "=", "!", "?", "+", "-", "*", "/", "%", "<",
    ">", "@", "|", "^", "&", ";",
];

/// Takes a text apart.
pub(crate) fn lex(text: &str) -> Result<Vec<Lexeme>, Unreadable> {
    let mut lexer = Lexer { rest: text, at: Place { line: 1, column: 1 } };
    let mut found = Vec::new();
    while let Some(lexeme) = lexer.next()? {
        found.push(lexeme);
    }
    found.push(Lexeme { at: lexer.at, token: Token::End });
    Ok(found)
}

struct Lexer<'a> {
    rest: &'a str,
    at: Place,
}

impl Lexer<'_> {
    fn next(&mut self) -> Result<Option<Lexeme>, Unreadable> {
        self.skip_blanks()?;
        let at = self.at;
        let Some(first) = self.rest.chars().next() else { return Ok(None) };
        let token = match first {
            '\n' | '\r' => {
                self.take_while(|c| c == '\n' || c == '\r');
                Token::Newline
            }
            '0'..='9' => {
                let digits = self.take_while(|c| c.is_ascii_digit());
                let number = digits.parse().map_err(|_| {
                    self.cannot(at, "This number is too large; 64 bits must hold it.")
                })?;
                Token::Number(number)
            }
            'a'..='z' | 'A'..='Z' | '_' => {
                Token::Name(self.take_while(|c| c.is_ascii_alphanumeric() || c == '_'))
            }
            '\'' if self.rest.starts_with("'''") => self.long_text(0)?,
            '$' => self.interpolated_long_text()?,
            '\'' => self.text()?,
            _ => self.sign(first)?,
        };
        Ok(Some(Lexeme { at, token }))
    }

    fn sign(&mut self, first: char) -> Result<Token, Unreadable> {
        let Some(sign) = SIGNS.iter().find(|sign| self.rest.starts_with(**sign)) else {
            let hint = if first == '"' { " Strings stand in single quotes." } else { "" };
            return Err(
                self.cannot(self.at, &format!("The character {first} has no meaning here.{hint}"))
            );
        };
        // `[` with something behind it is an index only directly behind a value; the parser sorts that out.
        self.advance(sign.len());
        Ok(Token::Sign(sign))
    }

    fn cannot(&self, at: Place, message: &str) -> Unreadable {
        Unreadable { at, message: message.to_owned() }
    }

    /// Moves on by a number of bytes.
    fn advance(&mut self, bytes: usize) {
        let (passed, rest) = self.rest.split_at(bytes);
        for c in passed.chars() {
            if c == '\n' {
                self.at = Place { line: self.at.line + 1, column: 1 };
            } else {
                self.at.column += 1;
            }
        }
        self.rest = rest;
    }

    fn take_while(&mut self, wanted: impl Fn(char) -> bool) -> String {
        let end = self.rest.find(|c| !wanted(c)).unwrap_or(self.rest.len());
        let taken = self.rest[..end].to_owned();
        self.advance(end);
        taken
    }

    /// Blanks, comments and directives (`#disable-next-line …`).
    fn skip_blanks(&mut self) -> Result<(), Unreadable> {
        loop {
            let start = self.rest.len();
            self.take_while(|c| c == ' ' || c == '\t' || c == '\u{feff}');
            if self.rest.starts_with("//") || self.rest.starts_with('#') {
                self.take_while(|c| c != '\n' && c != '\r');
            } else if self.rest.starts_with("/*") {
                let Some(end) = self.rest.find("*/") else {
                    return Err(
                        self.cannot(self.at, "This comment does not end; close it with */.")
                    );
                };
                self.advance(end + 2);
            }
            if self.rest.len() == start {
                return Ok(());
            }
        }
    }

    /// `'…'`, on one line.
    fn text(&mut self) -> Result<Token, Unreadable> {
        let start = self.at;
        self.advance(1);
        let mut parts = Vec::new();
        let mut literal = String::new();
        loop {
            let Some(c) = self.rest.chars().next().filter(|c| *c != '\n' && *c != '\r') else {
                return Err(self.cannot(
                    start,
                    "This string does not end on its line; close it with a single quote.",
                ));
            };
            match c {
                '\'' => {
                    self.advance(1);
                    break;
                }
                '\\' => literal.push(self.escape()?),
                '$' if self.rest.starts_with("${") => {
                    self.advance(2);
                    push_literal(&mut parts, &mut literal);
                    parts.push(Part::Code(self.code(start)?));
                }
                _ => {
                    literal.push(c);
                    self.advance(c.len_utf8());
                }
            }
        }
        push_literal(&mut parts, &mut literal);
        Ok(Token::Text(parts))
    }

    /// The tokens up to the brace that closes an interpolation.
    fn code(&mut self, start: Place) -> Result<Vec<Lexeme>, Unreadable> {
        let mut found = Vec::new();
        let mut depth = 0_u32;
        while let Some(lexeme) = self.next()? {
            match &lexeme.token {
                Token::Sign("{") => depth += 1,
                Token::Sign("}") if depth == 0 => {
                    found.push(Lexeme { at: lexeme.at, token: Token::End });
                    return Ok(found);
                }
                Token::Sign("}") => depth -= 1,
                _ => {}
            }
            found.push(lexeme);
        }
        Err(self.cannot(start, "An interpolation in this string does not end; close it with }."))
    }

    fn escape(&mut self) -> Result<char, Unreadable> {
        let at = self.at;
        let unknown = "Of escapes there are \\\\ \\' \\n \\r \\t \\$ and \\u{…}.";
        self.advance(1);
        if let Some(behind) = self.rest.strip_prefix("u{") {
            let end = behind.find('}').ok_or_else(|| self.cannot(at, unknown))?;
            let code = u32::from_str_radix(&behind[..end], 16).ok().and_then(char::from_u32);
            self.advance(2 + end + 1);
            return code.ok_or_else(|| self.cannot(at, unknown));
        }
        let meant = match self.rest.chars().next() {
            Some(c @ ('\\' | '\'' | '$')) => c,
            Some('n') => '\n',
            Some('r') => '\r',
            Some('t') => '\t',
            _ => return Err(self.cannot(at, unknown)),
        };
        self.advance(1);
        Ok(meant)
    }

    /// `$'''…'''`, in which as many `$` as stand before it begin an interpolation.
    fn interpolated_long_text(&mut self) -> Result<Token, Unreadable> {
        let dollars = self.rest.chars().take_while(|c| *c == '$').count();
        if !self.rest[dollars..].starts_with("'''") {
            return Err(self.cannot(self.at, "The character $ has no meaning here."));
        }
        self.advance(dollars);
        self.long_text(dollars)
    }

    /// `'''…'''`, over many lines, without escapes. A line end directly behind the quotes does not count.
    fn long_text(&mut self, dollars: usize) -> Result<Token, Unreadable> {
        let start = self.at;
        self.advance(3);
        let opening = format!("{}{{", "$".repeat(dollars));
        let first_end =
            ["\r\n", "\n"].into_iter().find(|end| self.rest.starts_with(end)).map_or(0, str::len);
        self.advance(first_end);
        let mut parts = Vec::new();
        let mut literal = String::new();
        loop {
            if self.rest.starts_with("'''") && !self.rest.starts_with("''''") {
                self.advance(3);
                break;
            }
            if dollars > 0 && self.rest.starts_with(&opening) {
                self.advance(opening.len());
                push_literal(&mut parts, &mut literal);
                parts.push(Part::Code(self.code(start)?));
                continue;
            }
            let Some(c) = self.rest.chars().next() else {
                return Err(self.cannot(
                    start,
                    "This string does not end; close it with three single quotes.",
                ));
            };
            literal.push(c);
            self.advance(c.len_utf8());
        }
        push_literal(&mut parts, &mut literal);
        Ok(Token::Text(parts))
    }
}

fn push_literal(parts: &mut Vec<Part>, literal: &mut String) {
    if !literal.is_empty() {
        parts.push(Part::Literal(std::mem::take(literal)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(text: &str) -> Vec<Token> {
        lex(text).expect("it reads").into_iter().map(|it| it.token).collect()
    }

    #[test]
    fn a_string_is_taken_apart_at_its_interpolations_even_when_they_hold_strings() {
        let found = tokens("'a${b('}')}c'");
        let Token::Text(parts) = &found[0] else { panic!("a string") };
        assert_eq!(parts.len(), 3);
        assert_eq!(parts[0], Part::Literal("a".to_owned()));
        assert_eq!(parts[2], Part::Literal("c".to_owned()));
    }

    #[test]
    fn comments_and_directives_are_nothing_and_places_still_right() {
        let found = lex("// one\n/* two\n */ param #disable-next-line x\nx").expect("it reads");
        let places: Vec<_> = found.iter().map(|it| (it.at.line, it.at.column)).collect();
        assert_eq!(places, [(1, 7), (3, 5), (3, 31), (4, 1), (4, 2)]);
    }

    #[test]
    fn a_long_string_keeps_what_a_short_one_would_read_as_escape() {
        assert_eq!(
            tokens("'''\na\\n${b}'''")[0],
            Token::Text(vec![Part::Literal("a\\n${b}".to_owned())])
        );
    }

    #[test]
    fn a_string_that_does_not_end_is_named_where_it_began() {
        let problem = lex("var a = 'b\n").expect_err("it does not end");
        assert_eq!((problem.at.line, problem.at.column), (1, 9));
    }
}
