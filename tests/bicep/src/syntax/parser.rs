//! From tokens to declarations.
use super::ast::*;
use super::lexer::{Lexeme, Token, Unreadable, lex};
use crate::problem::Problem;

/// Reads a file. A declaration that cannot be read is named, and reading goes on with the next line that begins one.
pub(crate) fn parse(file: &str, text: &str) -> (File, Vec<Problem>) {
    let wrong = |bad: Unreadable| Problem::new(file, bad.at, "syntax", bad.message);
    let tokens = match lex(text) {
        Ok(tokens) => tokens,
        Err(bad) => return (File::default(), vec![wrong(bad)]),
    };
    let mut parser = Parser::new(tokens, file.ends_with(".bicepparam"));
    let mut tree = File::default();
    let mut problems = Vec::new();
    parser.skip_newlines();
    while *parser.peek() != Token::End {
        if let Err(bad) = parser.statement(&mut tree) {
            problems.push(wrong(bad));
            parser.recover();
        }
        parser.skip_newlines();
    }
    (tree, problems)
}

pub(super) type Read<T> = Result<T, Unreadable>;

/// A reader of tokens.
pub(super) struct Parser {
    pub(super) tokens: Vec<Lexeme>,
    pub(super) next: usize,
    pub(super) values_only: bool,
}

const BEGINNINGS: [&str; 14] = [
    "param",
    "var",
    "resource",
    "module",
    "output",
    "type",
    "targetScope",
    "extension",
    "using",
    "import",
    "metadata",
    "func",
    "assert",
    "test",
];

impl Parser {
    /// Goes on at the next line that begins a declaration in the first column.
    fn recover(&mut self) {
        loop {
            match self.take() {
                Token::End => return,
                Token::Newline => {
                    let begins = match self.peek() {
                        Token::Name(name) => BEGINNINGS.contains(&name.as_str()),
                        Token::Sign(sign) => *sign == "@",
                        _ => false,
                    };
                    if self.at().column == 1 && begins {
                        return;
                    }
                }
                _ => {}
            }
        }
    }

    fn statement(&mut self, tree: &mut File) -> Read<()> {
        let decorators = self.decorators()?;
        let keyword = self.name("a declaration (param, var, resource, module, output, …)")?;
        match keyword.name.as_str() {
            "targetScope" => {
                self.expect("=")?;
                tree.target_scope = Some(self.expression()?);
            }
            "using" => tree.using = Some(self.using()?),
            "metadata" => {
                self.name("a name")?;
                self.expect("=")?;
                self.expression()?;
            }
            "extension" => tree.extensions.push(self.extension()?),
            "param" if self.values_only => tree.given.push(self.var(decorators)?),
            "var" => tree.vars.push(self.var(decorators)?),
            "param" => tree.params.push(self.param(decorators)?),
            "type" => tree.types.push(self.type_declaration(decorators)?),
            "resource" => tree.resources.push(self.resource(decorators)?),
            "module" => tree.modules.push(self.module(decorators)?),
            "output" => tree.outputs.push(self.output(decorators)?),
            "import" | "func" | "assert" | "test" => {
                tree.refused.push(Named { at: keyword.at, name: keyword.name });
                self.recover();
                return Ok(());
            }
            other => {
                let hint = crate::problem::did_you_mean(other, BEGINNINGS.into_iter());
                let message = format!("\"{other}\" begins no declaration.{hint}");
                return Err(Unreadable { at: keyword.at, message });
            }
        }
        match self.peek() {
            Token::Newline | Token::End => Ok(()),
            _ => Err(self.unexpected("Here must stand the end of the line")),
        }
    }

    pub(super) fn decorators(&mut self) -> Read<Vec<Decorator>> {
        let mut found = Vec::new();
        while self.is("@") {
            let at = self.at();
            self.take();
            let call = self.expression()?;
            let (Kind::Call { name, arguments, .. } | Kind::Method { name, arguments, .. }) =
                call.kind
            else {
                return Err(Unreadable {
                    at,
                    message: "A decorator is a call, like @description('…').".to_owned(),
                });
            };
            found.push(Decorator { at, name, arguments });
            if *self.peek() != Token::Newline {
                return Err(self.unexpected("Behind a decorator must stand the end of the line"));
            }
            self.skip_newlines();
        }
        Ok(found)
    }

    fn using(&mut self) -> Read<Named> {
        let at = self.at();
        if self.take_if_name("none") {
            return Ok(Named { at, name: String::new() });
        }
        Ok(Named { at, name: self.plain_string()? })
    }

    fn extension(&mut self) -> Read<Named> {
        let at = self.at();
        let name = if matches!(self.peek(), Token::Text(_)) {
            self.plain_string()?
        } else {
            self.name("a name")?.name
        };
        if self.take_if_name("with") {
            self.expression()?;
        }
        if self.take_if_name("as") {
            self.name("a name")?;
        }
        Ok(Named { at, name })
    }

    /// A string in which nothing is computed.
    pub(super) fn plain_string(&mut self) -> Read<String> {
        let at = self.at();
        if !matches!(self.peek(), Token::Text(_)) {
            return Err(self.unexpected("Here must stand a string"));
        }
        let text = self.expression_primary()?;
        let message = "This string must stand as it is, without interpolation.".to_owned();
        text.plain_text().map(str::to_owned).ok_or(Unreadable { at, message })
    }

    fn var(&mut self, decorators: Vec<Decorator>) -> Read<Var> {
        let Local { name, at } = self.name("a name")?;
        if !self.is("=") {
            self.type_expression()?;
        }
        self.expect("=")?;
        Ok(Var { at, name, value: self.expression()?, decorators })
    }

    fn param(&mut self, decorators: Vec<Decorator>) -> Read<Param> {
        let Local { name, at } = self.name("a name")?;
        let ty = self.type_expression()?;
        let default = if self.take_if("=") { Some(self.expression()?) } else { None };
        Ok(Param { at, name, ty, default, decorators })
    }

    fn output(&mut self, decorators: Vec<Decorator>) -> Read<Output> {
        let Local { name, at } = self.name("a name")?;
        let ty = self.type_expression()?;
        self.expect("=")?;
        Ok(Output { at, name, ty, value: self.expression()?, decorators })
    }

    fn type_declaration(&mut self, decorators: Vec<Decorator>) -> Read<TypeDecl> {
        let Local { name, at } = self.name("a name")?;
        self.expect("=")?;
        Ok(TypeDecl { at, name, ty: self.type_expression()?, decorators })
    }

    pub(super) fn resource(&mut self, decorators: Vec<Decorator>) -> Read<Resource> {
        let Local { name, at } = self.name("a name")?;
        let type_at = self.at();
        let type_text = self.plain_string()?;
        let existing = self.take_if_name("existing");
        self.expect("=")?;
        let value = self.declaration_body()?;
        Ok(Resource { at, name, type_text, type_at, existing, value, decorators })
    }

    fn module(&mut self, decorators: Vec<Decorator>) -> Read<Module> {
        let Local { name, at } = self.name("a name")?;
        let path_at = self.at();
        let path = self.plain_string()?;
        self.expect("=")?;
        let value = self.declaration_body()?;
        Ok(Module { at, name, path, path_at, value, decorators })
    }
}
