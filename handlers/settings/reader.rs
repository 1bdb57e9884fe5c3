//! Reads variables and collects every mistake, so that an operator sees all of them at once.

use std::str::FromStr;

use url::Url;

use crate::base::http::is_loopback;

/// Reads variables and remembers what was wrong with them.
pub struct SettingsReader<'a> {
    lookup: &'a dyn Fn(&str) -> Option<String>,
    errors: Vec<String>,
}

impl<'a> SettingsReader<'a> {
    /// A reader of what `lookup` answers. An empty value counts as not set.
    pub fn new(lookup: &'a dyn Fn(&str) -> Option<String>) -> Self {
        Self { lookup, errors: Vec::new() }
    }

    /// Everything that was wrong, in words. Values are not repeated: some are secret.
    pub fn into_errors(self) -> Vec<String> {
        self.errors
    }

    /// The variable's value, if it is set.
    pub fn optional(&self, name: &str) -> Option<String> {
        (self.lookup)(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
    }

    /// A value of the right form; `None` with a mistake noted when it is missing or wrong.
    pub fn required<T: FromStr>(&mut self, name: &str, form: &str) -> Option<T> {
        match self.optional(name) {
            Some(value) => self.parse(name, form, &value),
            None => self.reject(format!("{name} is not set: give {form}")),
        }
    }

    /// An https address, or http on the loopback; without a trailing slash in its path unless it
    /// has no path at all.
    pub fn url(&mut self, name: &str, default: Option<&str>) -> Option<Url> {
        let form = "an https address";
        let value = self.optional(name).or_else(|| default.map(str::to_owned));
        let Some(value) = value else {
            return self.reject(format!("{name} is not set: give {form}"));
        };
        let url: Url = self.parse(name, form, value.trim_end_matches('/'))?;
        if url.scheme() == "https" || (url.scheme() == "http" && is_loopback(&url)) {
            return Some(url);
        }
        self.reject(format!("{name} is not https: tokens are never sent in clear"))
    }

    /// A list of values that `parse` understands, separated by commas; none when the variable is not
    /// set. `None` with one mistake noted when any of them is wrong.
    pub fn list<T>(
        &mut self,
        name: &str,
        form: &str,
        parse: fn(&str) -> Option<T>,
    ) -> Option<Vec<T>> {
        let text = self.optional(name).unwrap_or_default();
        let words = text.split(',').map(str::trim).filter(|word| !word.is_empty());
        let list: Option<Vec<T>> = words.map(parse).collect();
        list.or_else(|| self.reject(format!("{name} is not a list of {form}, separated by commas")))
    }

    /// A value that must pass `fits`; `default` when it is not set. `None` with a mistake noted when
    /// it does not fit.
    pub fn text(
        &mut self,
        name: &str,
        form: &str,
        default: String,
        fits: fn(&str) -> bool,
    ) -> Option<String> {
        match self.optional(name) {
            Some(value) if fits(&value) => Some(value),
            Some(_) => self.reject(format!("{name} is not {form}")),
            None => Some(default),
        }
    }

    /// A whole number within bounds, both included.
    pub fn number(&mut self, name: &str, default: i64, least: i64, most: i64) -> Option<i64> {
        let form = format!("a whole number from {least} to {most}");
        let number = match self.optional(name) {
            Some(value) => self.parse(name, &form, &value)?,
            None => default,
        };
        if (least..=most).contains(&number) {
            return Some(number);
        }
        self.reject(format!("{name} is out of range: give {form}"))
    }

    /// Notes a mistake, and answers that there is no value.
    pub fn reject<T>(&mut self, mistake: String) -> Option<T> {
        self.errors.push(mistake);
        None
    }

    fn parse<T: FromStr>(&mut self, name: &str, form: &str, value: &str) -> Option<T> {
        value.parse().ok().or_else(|| self.reject(format!("{name} is not {form}")))
    }
}

/// Whether `text` is made of what an audience or a scope may have.
pub(super) fn is_url_safe(text: &str) -> bool {
    let known = |c: u8| c.is_ascii_alphanumeric() || b":/._-".contains(&c);
    text.len() <= 200 && text.bytes().all(known)
}
