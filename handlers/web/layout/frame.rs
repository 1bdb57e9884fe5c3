//! The page around a page: title, navigation, who is signed in.

use super::{extract::CurrentUser, texts::Texts};

/// A link of the navigation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section {
    /// The last segment of its address; empty for the function's first page.
    pub path: &'static str,
    /// What it is called.
    pub label: &'static str,
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
    pub user: Option<&'a CurrentUser>,
    /// The navigation; empty where there is nowhere to go.
    pub sections: &'a [Section],
    /// The step of the page itself.
    pub current: &'a str,
    /// After how many seconds the page shows itself anew, where something is going on.
    pub refresh_seconds: Option<u32>,
}

impl<'a> Frame<'a> {
    /// The same for somebody who is signed in: with the name, and the button to sign out.
    #[must_use]
    pub fn for_user(mut self, user: &'a CurrentUser) -> Self {
        self.user = Some(user);
        self
    }

    /// The same with navigation, on the page of `current`.
    #[must_use]
    pub fn with_sections(mut self, sections: &'a [Section], current: &'a str) -> Self {
        (self.sections, self.current) = (sections, current);
        self
    }

    /// The same, which the browser loads again after `seconds`.
    #[must_use]
    pub fn refresh_after(mut self, seconds: u32) -> Self {
        self.refresh_seconds = Some(seconds);
        self
    }

    /// What a form of this page must carry in its field `csrf_token`; empty when nobody is signed in.
    pub fn csrf_token(&self) -> &str {
        self.user.map(CurrentUser::csrf_token).unwrap_or_default()
    }

    /// The address of `step` of this function.
    pub fn link(&self, path: &str) -> String {
        super::context::join_path(self.base, path)
    }
}
