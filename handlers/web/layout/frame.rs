//! The page around a page: title, navigation, who is signed in.

use super::{texts::Texts, visitor::Visitor};

/// A link of the navigation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section {
    /// The last segment of its address; empty for the function's first page.
    pub step: &'static str,
    /// What it is called.
    pub name: &'static str,
}

/// What `layout.html` shows around a page. A page's template struct has it as its field `frame`.
pub struct Frame<'a> {
    /// All texts, for the page too.
    pub t: &'static Texts,
    /// The page's title and its one first heading.
    pub title: &'a str,
    /// The path of the function's first page, without a slash at its end: links are made of it.
    pub base: &'a str,
    /// Who is signed in.
    pub visitor: Option<&'a Visitor>,
    /// The navigation; empty where there is nowhere to go.
    pub sections: &'a [Section],
    /// The step of the page itself.
    pub here: &'a str,
    /// After how many seconds the page shows itself anew, where something is going on.
    pub refresh: Option<u32>,
}

impl<'a> Frame<'a> {
    /// The same for somebody who is signed in: with the name, and the button to sign out.
    #[must_use]
    pub fn of(mut self, visitor: &'a Visitor) -> Self {
        self.visitor = Some(visitor);
        self
    }

    /// The same with navigation, on the page of `here`.
    #[must_use]
    pub fn within(mut self, sections: &'a [Section], here: &'a str) -> Self {
        (self.sections, self.here) = (sections, here);
        self
    }

    /// The same, which the browser loads again after `seconds`.
    #[must_use]
    pub fn again_after(mut self, seconds: u32) -> Self {
        self.refresh = Some(seconds);
        self
    }

    /// What a form of this page must carry in its field `csrf`; empty when nobody is signed in.
    pub fn csrf(&self) -> &str {
        self.visitor.map(Visitor::csrf).unwrap_or_default()
    }

    /// The address of `step` of this function.
    pub fn link(&self, step: &str) -> String {
        super::desk::below(self.base, step)
    }
}
