//! What surrounds the content of a page: title, navigation, who is signed in; and how instants are
//! written on it.

use std::fmt;

use jiff::{Timestamp, tz::TimeZone};

use super::{current_user::CurrentUser, texts::Texts};

/// What `layout.html` shows around a page. A page's template struct has it as its field `frame`.
pub(crate) struct Frame<'a> {
    pub(crate) t: &'static Texts,
    /// The page's title and its one first heading.
    pub(crate) title: &'a str,
    /// The path of the function's first page, without a slash at its end: links start with it.
    pub(crate) base: &'a str,
    pub(crate) user: Option<&'a CurrentUser>,
    /// The navigation: each page's path, and its title as the text of the link. Empty where there is
    /// nowhere to go.
    pub(crate) sections: Vec<(&'static str, &'static str)>,
    /// The path in `sections` that the page belongs to.
    pub(crate) current: &'a str,
    /// After how many seconds the browser reloads the page, while work is under way.
    pub(crate) refresh_seconds: Option<u32>,
}

impl Frame<'_> {
    /// The token that a form of this page must carry; empty when nobody is signed in.
    pub(crate) fn csrf_token(&self) -> &str {
        self.user.map(CurrentUser::csrf_token).unwrap_or_default()
    }

    /// The address of the page `path` of this function.
    pub(crate) fn link(&self, path: &str) -> String {
        join_path(self.base, path)
    }
}

/// The address of the page `path` below `base`; a query alone belongs to the first page.
pub(super) fn join_path(base: &str, path: &str) -> String {
    // Without a slash at the end: axum's nested routes know the first page by that address alone.
    let slash = if path.is_empty() || path.starts_with('?') { "" } else { "/" };
    format!("{base}{slash}{path}")
}

/// An instant on a page, in UTC and to the minute: `24 November 2026, 09:00 UTC`. In a template:
/// `{% call forms::time(at) %}{% endcall %}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct DisplayTime(pub(crate) Timestamp);

impl DisplayTime {
    /// For templates, where everything is a reference.
    pub(crate) fn of(at: &Timestamp) -> Self {
        Self(*at)
    }

    /// The same for the attribute `datetime`, in whole seconds: it takes no more than three digits
    /// of a fraction (html.spec.whatwg.org, "Times").
    pub(crate) fn rfc3339(&self) -> String {
        self.0.to_zoned(TimeZone::UTC).strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
    }
}

impl fmt::Display for DisplayTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.to_zoned(TimeZone::UTC).strftime("%-d %B %Y, %H:%M UTC"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_is_written_for_people_and_for_their_browsers() {
        let at = DisplayTime("2026-11-04T09:05:59.123456789Z".parse().unwrap());
        assert_eq!(at.to_string(), "4 November 2026, 09:05 UTC");
        assert_eq!(at.rfc3339(), "2026-11-04T09:05:59Z");
    }
}
